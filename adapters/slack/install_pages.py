"""What the browser shows after an installation, in both languages."""

from enum import Enum
from html import escape

from adapters.slack.manifest import INSTALL_PATH


class Page(Enum):
    """Title and text, in Chinese and in English. `{name}` is the workspace's."""

    INSTALLED = (
        "安裝完成",
        "應用程式已安裝到 {name}。回到 Slack，邀請它加入頻道，或直接傳訊息給它。",
        "Installed",
        "The app is installed in {name}. Go back to Slack, invite it to a channel, or send it a message.",
    )
    NOT_OURS = (
        "這個工作區不能安裝",
        "這個應用程式只給特定公司的工作區使用，這裡不在其中；剛才的授權已經撤銷，沒有留下任何資料。"
        "如果這是貴公司的工作區，請管理員把它的 ID 加入設定 SHIFU_SLACK__TEAMS。",
        "Not for this workspace",
        "The app is for the workspaces of one company, and this is none of them. The access that you just gave "
        "was given back; nothing was kept. If this workspace is your company's, ask the administrator to add its "
        "id to the setting SHIFU_SLACK__TEAMS.",
    )
    CANCELLED = (
        "已取消安裝",
        "什麼都沒有安裝。想再試一次，請從 {path} 開始。",
        "Cancelled",
        "Nothing was installed. To try again, start at {path}.",
    )
    OUTDATED = (
        "請重新開始",
        "這個安裝連結已經用過、超過十分鐘，或是在另一個瀏覽器開始的。"
        "請在同一個瀏覽器從 {path} 重新開始，並使用 https。",
        "Please start again",
        "This installation was finished before, began more than ten minutes ago, or in another browser. "
        "Start again at {path} in one browser, over https.",
    )
    REFUSED = (
        "Slack 沒有核准這次安裝",
        "請從 {path} 再試一次。如果一直失敗，請管理員檢查應用程式的用戶端 ID、密鑰與重新導向網址。",
        "Slack did not approve this installation",
        "Try again at {path}. If that keeps failing, ask the administrator to check the app's client id, secret "
        "and redirect URL.",
    )
    UNAVAILABLE = (
        "現在無法完成安裝",
        "服務暫時連不上。請過幾分鐘從 {path} 再試一次。",
        "The installation cannot be finished now",
        "A service does not answer. Try again in a few minutes at {path}.",
    )
    BUSY = (
        "請稍候",
        "現在有太多安裝請求。請過一分鐘再試一次。",
        "Please wait",
        "Too many installations at once. Try again in a minute.",
    )


def page(shown: Page, *, name: str = "") -> str:
    known = {"name": name or "Slack", "path": INSTALL_PATH}
    title_zh, text_zh, title_en, text_en = (escape(part.format(**known)) for part in shown.value)
    return f"""<!doctype html>
<html lang="zh-Hant-TW">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title_zh} · {title_en}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem; }}
section + section {{ margin-top: 2.5rem; }}
h1 {{ font-size: 1.4rem; }}
</style>
<section><h1>{title_zh}</h1><p>{text_zh}</p></section>
<section lang="en"><h1>{title_en}</h1><p>{text_en}</p></section>
</html>
"""
