"""What goes into a panel's flash: the filesystem's tree, partition tables, and whole images for factory programming."""

from host_tools.image.tree import boards, packs, source_root, stage_vfs

__all__ = ["boards", "packs", "source_root", "stage_vfs"]
