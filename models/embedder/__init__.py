"""The face embedder: 96x96 grey face in, 128 numbers out."""
