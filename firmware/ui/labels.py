"""Every word on the screen, English beside Chinese. Read by the panel and by the font maker, which draws just
these glyphs: run `python -m host_tools.make_fonts` after a change."""

# ruff: noqa: RUF001 - Chinese punctuation and typographic signs are meant

# The English words are the key.
CHINESE = {
    "Welcome": "欢迎",
    "Flat number": "房号",
    "Flat": "房号",
    "PIN": "密码",
    "Card": "门卡",
    "Face": "人脸",
    "flat #, then PIN #": "房号#  密码#",
    "hold it here": "请贴近此处",
    "flat #, then look": "房号#  看镜头",
    "Camera off": "已关闭",
    "use PIN or card": "请用密码或门卡",
    "continue": "继续",
    "back": "返回",
    "or hold your card here": "或刷门卡",
    "or look at the camera": "或看镜头",
    "Too many digits": "位数过多",
    "Between 6 and 12 digits": "请输入6至12位",
    "One moment": "请稍候",
    "Come in": "请进",
    "look at the camera": "请看镜头",
    "one person only": "请单人操作",
    "come closer": "请靠近一些",
    "move to the middle": "请居中",
    "look straight": "请正视镜头",
    "more light": "光线太暗",
    "too bright": "光线太强",
    "hold still": "请保持不动",
    "step back": "请退后一些",
    "Accept": "同意",
    "Decline": "不同意",
    "Read on": "下一页",
    "Enrolling": "正在登记",
    "Numbers kept, no picture": "只存数值，不存照片",
    "Thank you": "谢谢",
    "You can withdraw it at any time": "您可随时撤回同意",
    "Understood": "已了解",
    "PIN and card open the same doors": "密码和门卡同样可用",
    "Not answered": "未作回答",
    "Nothing was agreed to": "未同意任何事项",
    "Face deleted": "人脸已删除",
    "delete my face": "删除我的人脸",
    "Delete my face": "删除人脸",
    "Hold your card here": "请刷门卡",
    "or: flat #, then PIN #": "或：房号#  密码#",
    "Delete your face now?": "现在删除您的人脸？",
    "It is erased for good": "删除后无法恢复",
    "keep": "保留",
    "delete": "删除",
    "No face stored": "未存储人脸",
    "Nothing of your face is on this panel": "本机没有您的人脸数据",
    "No longer used": "已停用",
    "Erasing failed and will be tried again": "删除未成功，将自动重试",
    "Your proof: scan and keep": "删除凭证：请扫码保存",
    "Maintenance": "维护中",
    "Please ask the manager": "请联系物业",
    "Not set up yet": "尚未设置",
    "This panel belongs to no site yet": "本机尚未启用",
    "Please close the door": "请关门",
    "The exit button works": "出门按钮照常可用",
    "Starting": "正在启动",
    "Maintenance?": "允许维护？",
    "The door opens for nobody": "期间无人能开门",
    "Press the exit button": "请按出门按钮",
    "Aiming camera": "调整摄像头",
    "A technician sees this picture": "技术人员正在查看此画面",
    "refuse": "拒绝",
    "stop": "停止",
    "allow": "允许",
}

# By reason code of access.policy or credentials.nfc: what happened, and what to do next.
DENIALS = {
    "not_recognised": (
        ("Not recognised", "未能识别"),
        ("Try again, or use another way", "请重试，或用其他方式"),
    ),
    "locked_out": (
        ("Too many tries", "尝试次数过多"),
        ("Please wait, or use another way", "请稍候，或用其他方式"),
    ),
    "withdrawn": (
        ("No longer valid", "已停用"),
        ("Please use another way", "请用其他方式"),
    ),
    "wrong_door": (
        ("Not for this door", "无权开此门"),
        ("Please ask the manager", "请联系物业"),
    ),
    "out_of_hours": (
        ("Not at this hour", "不在开放时间"),
        ("Please ask the manager", "请联系物业"),
    ),
    "not_yet": (
        ("Not valid yet", "尚未生效"),
        ("Please ask the manager", "请联系物业"),
    ),
    "expired": (
        ("Access has ended", "权限已到期"),
        ("Please ask the manager", "请联系物业"),
    ),
    "clock_unknown": (
        ("Panel has no time", "本机时间未知"),
        ("Please ask the manager", "请联系物业"),
    ),
    "lockdown": (
        ("Site in lockdown", "全区封闭"),
        ("Please ask the manager", "请联系物业"),
    ),
    "maintenance": (
        ("Maintenance", "维护中"),
        ("Please ask the manager", "请联系物业"),
    ),
    "second_factor": (
        ("One more proof", "请继续"),
        ("Now the PIN, or your card", "请用密码或门卡"),
    ),
    "passback": (
        ("Used a moment ago", "请稍候"),
        ("Please ask the manager", "请联系物业"),
    ),
    "flat_first": (
        ("Flat number first", "房号"),
        ("flat #, then look", "房号#  看镜头"),
    ),
    "card_removed": (
        ("Card left too early", "门卡离开太快"),
        ("Hold it still for a second", "请贴住一秒"),
    ),
    "other": (
        ("Not opened", "未开门"),
        ("Please ask the manager", "请联系物业"),
    ),
}

# Codes that say the same to the person at the door: a guesser must not learn which part was wrong.
SAME_AS = {
    "unknown_card": "not_recognised",
    "wrong_key": "not_recognised",
    "malformed": "not_recognised",
    "too_slow": "card_removed",
}


def denial(reason: str) -> tuple:
    """((what, 什么), (next step, 下一步)) for a reason code."""
    reason = SAME_AS.get(reason, reason)
    return DENIALS.get(reason, DENIALS["other"])
