"""What we say in Teams alone, beside what all chat platforms share; in both languages."""

from retrieval.access import Level
from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

BELOW = {EN: "The answer is below.", ZH: "答案如下。"}
"""The text of an answer that a card alone can show."""

SHARE_HERE = {EN: "Share here", ZH: "分享到這裡"}
COPY = {EN: "Send me a copy in our chat", ZH: "傳一份到我和你的聊天"}

LABELS = {
    Level.INTERNAL: {
        EN: ("Internal", "Rests on internal documents. Do not pass it on outside the company."),
        ZH: ("內部", "引用了內部文件，請勿傳到公司外部。"),
    },
    Level.CONFIDENTIAL: {
        EN: (
            "Confidential",
            "Rests on confidential documents. Pass it on only to people who may read them.",
        ),
        ZH: ("機密", "引用了機密文件，只能轉給有權閱讀的人。"),
    },
    Level.SECRET: {
        EN: ("Secret", "Rests on secret documents. Do not pass it on."),
        ZH: ("極機密", "引用了極機密文件，請勿轉傳。"),
    },
}

FEEDBACK_REASONS = {
    "wrong": {EN: "It is wrong", ZH: "內容不正確"},
    "incomplete": {EN: "Something is missing", ZH: "內容不完整"},
    "outdated": {EN: "It is out of date", ZH: "資料過時"},
    "off-topic": {EN: "It does not answer my question", ZH: "答非所問"},
    "unclear": {EN: "I do not understand it", ZH: "看不懂"},
}
FEEDBACK_REASONS_LABEL = {
    EN: "What is the matter? (as many as you like)",
    ZH: "是什麼問題？（可複選）",
}
REQUIRED = {EN: "Please fill this in.", ZH: "請填寫這一欄。"}
SOURCES_NONE = {
    EN: "There are no sources that you may read.",
    ZH: "沒有你可以閱讀的來源。",
}
REVIEW_TITLE = {EN: "Waiting for review", ZH: "等候審核"}
REVIEW_AUDIENCE = {EN: "Proposed readers: {audience}", ZH: "建議的讀者：{audience}"}
REVIEW_LINK = {EN: "Original message", ZH: "原始訊息"}
REVIEW_CUT = {
    EN: "Only the beginning is shown here; all of it is kept.",
    ZH: "這裡只顯示開頭，完整內容都有保留。",
}
WITHDRAW = {EN: "Withdraw", ZH: "撤回"}
WITHDRAWN = {EN: "It is withdrawn; nothing is kept of it.", ZH: "已經撤回，不會保留任何內容。"}

FULLER_APART = {
    EN: "A fuller answer to what you asked in {place}, for you alone: not everybody there may read its sources.",
    ZH: "這是你在{place}提問的較完整回答，只給你看，因為那裡並非每個人都有權閱讀這些來源。",
}
SOMEWHERE = {EN: "a shared conversation", ZH: "共用的對話"}
