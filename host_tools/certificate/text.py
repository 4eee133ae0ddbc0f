"""The certificate's words, as blocks that the page and the PDF set alike."""

# ruff: noqa: E501, RUF001 - Chinese punctuation is meant, and its characters count twice

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timezone

from host_tools.certificate.facts import Certificate, Erasure, OnPanel
from host_tools.panels import fingerprint
from host_tools.site import Consent
from host_tools.site.deadlines import Deadline

REASONS = {
    "withdrawn": ("撤回同意", "consent withdrawn"),
    "removed": ("搬离或由物业删除", "moved out, or removed by the management"),
    "expired": ("保存期限届满", "retention period ended"),
    "replaced": ("被新记录取代", "replaced by a newer record"),
    "request": ("请求删除", "deletion requested"),
    "notice": ("告知书变更后未重新同意", "consent not renewed after a changed notice"),
    "decommission": ("面板停用", "panel taken out of service"),
    "restored": ("旧数据重新出现后再次删除", "erased again after old data had come back"),
}
CAUSES = {
    "withdrawal": ("撤回同意", "consent withdrawn"),
    "order": ("法院或主管机关命令", "order of a court or authority"),
    "move_out": ("搬离", "moved out"),
    "request": ("请求删除", "deletion requested"),
    "notice": ("未重新同意", "consent not renewed"),
    "decommission": ("面板停用", "panel taken out of service"),
}
_CLOCKS = {
    0: ("面板不知道准确时间", "the panel did not know the time"),
    1: ("面板自带电池时钟", "the panel's battery-backed clock"),
    2: ("由网络或物业电脑校时", "set by the network or the management's computer"),
}
_STATES = {
    "erased": ("已确认删除", "erasure confirmed"),
    "owed": ("尚未确认删除", "erasure NOT YET CONFIRMED"),
    "stored": ("仍保存，未请求删除", "still stored; no deletion was asked for"),
    "nothing": ("未保存人脸信息", "no face data stored"),
}
_HOW = {"keypad": ("在面板上按键", "with the keys of the panel"), "paper": ("书面签署", "signed on paper")}


@dataclass(frozen=True)
class Both:
    """The same in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True)
class Heading:
    text: Both
    level: int


@dataclass(frozen=True)
class Paragraph:
    """`kind`: plain, good or bad."""

    text: Both
    kind: str = "plain"


@dataclass(frozen=True)
class Row:
    label: Both
    value: str
    code: bool = False


@dataclass(frozen=True)
class Facts:
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Code:
    """Something to scan, or to save under `name` as the file that it is: `data`."""

    caption: Both
    name: str
    data: bytes

    @property
    def text(self) -> str:
        return base64.b64encode(self.data).decode()


Block = Heading | Paragraph | Facts | Code


def document(certificate: Certificate) -> list[Block]:
    blocks: list[Block] = [
        Heading(Both("人脸信息删除证明", "Certificate of erasure of face data"), 1),
        _verdict(certificate),
        Facts(
            (
                Row(Both("当事人", "Person"), certificate.name or "— (已遗忘 / forgotten)"),
                *((Row(Both("户号", "Flat"), certificate.flat),) if certificate.flat else ()),
                Row(Both("记录编号（随机数）", "Record number (random)"), certificate.handle.hex(), True),
                Row(Both("出具时间", "Issued"), moment(certificate.made)),
                Row(Both("站点编号", "Site number"), certificate.site_id.hex(), True),
            )
        ),
        Heading(Both("一、曾保存什么", "1. What was stored"), 2),
        Paragraph(
            Both(
                "人脸特征模板，即由人脸计算得到的数字，每个 128 字节，加密保存在门禁面板内。未保存照片。"
                "门卡和密码不含人脸信息，不因删除而失效。",
                "Face templates: numbers computed from the face, 128 bytes each, stored encrypted in door panels. "
                "No photograph was stored. Cards and PINs hold no face data and go on working.",
            )
        ),
        Heading(Both("二、各面板的情况", "2. Panel by panel"), 2),
    ]
    number = 0
    for panel in certificate.panels:
        blocks += _panel(panel, number)
        number += len(panel.erasures)
    if not certificate.panels:
        blocks.append(Paragraph(Both("没有任何面板保存过此人的人脸信息。", "No panel ever stored this person's face.")))
    return blocks + _verification()


def moment(seconds: int) -> str:
    """Local time with its offset, so that nobody has to guess which."""
    if not seconds:
        return "—"
    local = datetime.fromtimestamp(seconds, timezone.utc).astimezone()
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M:%S} (UTC{offset[:3]}:{offset[3:]})"


def _verdict(certificate: Certificate) -> Paragraph:
    open_ = [panel.record.name for panel in certificate.unconfirmed]
    held = [panel.record.name for panel in certificate.still_stored]
    if open_:
        names = "、".join(open_), ", ".join(open_)
        return Paragraph(
            Both(
                f"尚未完成：下列面板尚未确认删除：{names[0]}。本证明不表示这些面板上的数据已被删除。",
                f"NOT COMPLETE: these panels have not confirmed the erasure yet: {names[1]}. "
                "This certificate does not say that the data on them is gone.",
            ),
            "bad",
        )
    if held:
        names = "、".join(held), ", ".join(held)
        return Paragraph(
            Both(
                f"人脸信息仍保存在：{names[0]}。尚未请求删除。",
                f"Face data is still stored on: {names[1]}. No deletion was asked for.",
            ),
            "bad",
        )
    return Paragraph(
        Both(
            "下列各面板均已确认：此人的人脸信息已被删除，或从未保存。",
            "Every panel listed below has confirmed: this person's face data is erased, or was never stored.",
        ),
        "good",
    )


def _panel(panel: OnPanel, number: int) -> list[Block]:
    state = _STATES[panel.state]
    record = panel.record
    blocks: list[Block] = [
        Heading(Both(f"面板 {record.name}：{state[0]}", f"Panel {record.name}: {state[1]}"), 3),
        Facts(
            (
                Row(Both("面板编号", "Panel number"), record.panel_id.hex(), True),
                Row(Both("面板公钥", "Its public key"), record.device_pub.hex(), True),
                Row(Both("公钥指纹", "Fingerprint of the key"), fingerprint(record.device_pub), True),
                *(row for consent in panel.consents for row in _consent(consent)),
                *(
                    Row(
                        Both("保存", "Stored"),
                        f"{moment(stored.enrolled)}; {stored.templates} × 128 bytes; "
                        f"保存至 / until {moment(stored.expiry)}",
                    )
                    for stored in panel.stored
                ),
                *(row for deadline in panel.deadlines for row in _deadline(deadline)),
            )
        ),
    ]
    for at, erasure in enumerate(panel.erasures, number + 1):
        blocks += _erasure(erasure, at)
    if panel.clearance:
        facts = panel.clearance.facts
        blocks.append(
            Paragraph(
                Both(
                    f"该面板已整体清除：密钥于 {moment(facts.begun)} 删除，"
                    f"{panel.clearance.blocks} 个存储块于 {moment(panel.clearance.done)} 前全部擦除并回读。",
                    f"The whole panel was cleared: its secret was erased on {moment(facts.begun)}, and "
                    f"{panel.clearance.blocks} blocks were erased and read back by {moment(panel.clearance.done)}.",
                ),
                "good",
            )
        )
    return blocks


def _consent(consent: Consent) -> list[Row]:
    how = _HOW.get(consent.evidence.get("how", ""), ("—", "—"))
    rows = []
    if consent.state in ("given", "withdrawn", "expired") and consent.decided:
        notice = f"{consent.notice} v{consent.notice_version}, SHA-256 {consent.notice_hash.hex()[:16]}…"
        value = f"{moment(consent.decided)}; {how[0]} / {how[1]}; {notice}"
        rows.append(Row(Both("同意", "Consent given"), value))
    if consent.state == "declined":
        rows.append(Row(Both("拒绝同意", "Consent declined"), moment(consent.decided)))
    if consent.withdrawn:
        rows.append(Row(Both("撤回同意", "Consent withdrawn"), moment(consent.withdrawn)))
    return rows


def _deadline(deadline: Deadline) -> list[Row]:
    cause = CAUSES[deadline.cause]
    reference = f" ({deadline.reference})" if deadline.reference else ""
    rows = [
        Row(
            Both("删除义务", "Deletion owed"),
            f"{cause[0]} / {cause[1]}{reference}; {moment(deadline.opened)}; 期限 / due {moment(deadline.due)}",
        )
    ]
    if deadline.state == "pending":
        tried = f"; 最后尝试 / last tried {moment(deadline.tried)}" if deadline.tried else ""
        rows.append(Row(Both("面板确认", "Panel's confirmation"), f"尚未收到 / none yet{tried}"))
    elif deadline.proof == "nothing_stored":
        told = "面板答复：未保存人脸 / the panel answered that it holds no face"
        rows.append(Row(Both("面板确认", "Panel's confirmation"), f"{moment(deadline.confirmed)}; {told}"))
    return rows


def _erasure(erasure: Erasure, number: int) -> list[Block]:
    receipt = erasure.receipt
    reason = REASONS.get(receipt.reason, (receipt.reason, receipt.reason))
    clock = _CLOCKS[receipt.time_source]
    rows = [
        Row(Both("删除时间", "Erased"), f"{moment(receipt.time)}; {clock[0]} / {clock[1]}"),
        Row(Both("原因", "Reason"), f"{reason[0]} / {reason[1]}"),
        Row(Both("回执序号", "Receipt counter"), str(receipt.counter)),
    ]
    for index, before, after in receipt.blocks:
        rows += [
            Row(Both(f"存储块 {index} 删除前 SHA-256", f"Block {index} before, SHA-256"), before.hex(), True),
            Row(Both(f"存储块 {index} 删除后 SHA-256", f"Block {index} after, SHA-256"), after.hex(), True),
        ]
    rows += [
        Row(Both("审计链头", "Audit-chain head"), receipt.chain_head.hex(), True),
        Row(Both("签名 (Ed25519)", "Signature (Ed25519)"), erasure.data[-64:].hex(), True),
    ]
    checked = (
        Paragraph(Both("签名有效：由该面板的密钥签署。", "Signature valid: made with this panel's key."), "good")
        if erasure.valid
        else Paragraph(Both("签名无效！请勿采信。", "SIGNATURE NOT VALID. Do not rely on it."), "bad")
    )
    caption = Both(f"回执 {number}（二维码为回执原文的 Base64）", f"Receipt {number} (the code holds it in Base64)")
    title = Both(f"删除回执 {number}", f"Receipt of erasure {number}")
    return [
        Heading(title, 4),
        checked,
        Facts(tuple(rows)),
        Code(caption, f"receipt-{number}.bin", erasure.data),
    ]


def _verification() -> list[Block]:
    return [
        Heading(Both("三、如何核实", "3. How to verify"), 2),
        Paragraph(
            Both(
                "扫描二维码，将文字存为文件（或在网页版中点击下载），然后运行：",
                "Scan the code and save its text as a file (or click on it in the page), then run:",
            )
        ),
        Facts((Row(Both("命令", "Command"), "menshen receipt verify receipt-1.bin --key KEY", True),)),
        Paragraph(
            Both(
                "KEY 是上列面板公钥（64 位十六进制数）。请通过物业公告栏等其他途径核对其指纹，即公钥 SHA-256 的前 16 位。"
                "无需联网，也无需信任物业的电脑。回执格式公开：最后 64 字节是对其余全部字节的 Ed25519 签名（RFC 8032）。"
                "删除后的哈希必须是 4096 个字节 0xFF 的 SHA-256，即整块存储已为空。",
                "KEY is the panel's public key above (64 hex digits). Compare its fingerprint, the first 16 digits of its "
                "SHA-256, with what is published elsewhere, such as the notice board. No network is needed, nor trust in the "
                "management's computer. The receipt's format is public: its last 64 bytes are an Ed25519 signature "
                "(RFC 8032) over all the others. The hash after must be that of 4,096 bytes 0xFF: the block is empty.",
            )
        ),
        Paragraph(
            Both(
                "回执证明该面板擦除了所列存储块并回读确认。它不能证明此前无人拍照或复制；系统设计为人脸信息不离开面板。",
                "A receipt proves that this panel erased the block listed and read it back. It cannot prove that nobody "
                "photographed or copied anything before; the system is built so that face data does not leave the panel.",
            )
        ),
    ]
