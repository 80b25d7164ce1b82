"""What we say around an answer in Teams alone, in both languages."""

from retrieval.access import Level
from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

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

FULLER_APART = {
    EN: "A fuller answer to what you asked in {place}, for you alone: not everybody there may read its sources.",
    ZH: "這是你在{place}提問的較完整回答，只給你看，因為那裡並非每個人都有權閱讀這些來源。",
}
SOMEWHERE = {EN: "a shared conversation", ZH: "共用的對話"}
