"""What the bot says in Teams by itself, in answer to buttons and in dialogs; in both languages."""

from adapters.chat.dialog_texts import NOT_ACCEPTED, NOTHING_TO_SAVE
from adapters.teams.claims import Doubt
from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

HELLO = {
    EN: "Hello, I am Shifu 師傅. Mention me with a question about the company's documents. Here I answer only with "
    "what everyone who reads it may read, and I cite my sources.",
    ZH: "大家好，我是師傅 Shifu。有公司文件的問題，提及我就可以問。"
    "在這裡，我只用讀得到答案的每個人都可以閱讀的內容回答，並附上出處。",
}

# Buttons.
ON_ITS_WAY = {EN: "One moment, I am writing it to you.", ZH: "請稍候，我正在寫給你。"}
UNKNOWN_BUTTON = {
    EN: "I do not know this button any more. Please ask the question again.",
    ZH: "這個按鈕已經不適用了，請再問一次。",
}
CANNOT_WRITE_TO_YOU = {
    EN: "I cannot write to you. Install me for yourself first (Apps, Shifu, Add), then try again.",
    ZH: "我無法傳訊息給你。請先為自己安裝我（應用程式、Shifu、新增），再試一次。",
}
SOURCES_NONE = {
    EN: "There are no sources that you may read.",
    ZH: "沒有你可以閱讀的來源。",
}

# Sharing.
CANNOT_POST_HERE = {
    EN: "I cannot post there. Add me to the team or chat first (Apps, Shifu, Add), then share again.",
    ZH: "我無法在那裡發言。請先把我加入該團隊或聊天（應用程式、Shifu、新增），再分享一次。",
}
ASKED_BY = {EN: "{name} asks: {question}", ZH: "{name} 想問：{question}"}
SHARE_UNDER_WAY = {
    EN: "Teams takes its time. Your question is being posted there, and answered.",
    ZH: "Teams 回應較慢，你的問題正在貼到那裡並回答。",
}
CANCELLED = {EN: "Nothing was shared.", ZH: "沒有分享任何內容。"}

# Feedback.
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

# Saving, and what waits for review.
REFUSALS = {
    Doubt.STRANGER: {
        EN: "I can keep this only for members of the conversation whom I know. Nothing was saved.",
        ZH: "只有我認得的對話成員才能儲存這則訊息，這次沒有儲存。",
    },
    Doubt.AUTHOR: {
        EN: "Whoever wrote this is not a member of the conversation, as far as I can see. Nothing was saved.",
        ZH: "就我所知，這則訊息的作者不是這個對話的成員，因此沒有儲存。",
    },
    Doubt.DIFFERENT: {
        EN: "This message reads differently in Teams by now. Nothing was saved; please open it again and retry.",
        ZH: "這則訊息目前在 Teams 上的內容不一樣了，因此沒有儲存，請重新開啟訊息後再試一次。",
    },
    Doubt.GONE: {
        EN: "I cannot find this message in Teams any more. Nothing was saved.",
        ZH: "我在 Teams 上找不到這則訊息了，因此沒有儲存。",
    },
    Doubt.NOT_A_PERSON: {
        EN: "I keep only what people write, not what bots and apps do. Nothing was saved.",
        ZH: "我只收錄人寫的內容，不收錄機器人或應用程式的訊息，因此沒有儲存。",
    },
    Doubt.NO_TEXT: NOTHING_TO_SAVE,
    Doubt.UNSURE: NOT_ACCEPTED,
}
INSTALL_OFFER = {
    EN: "I am not in this conversation, so I cannot tell who reads it. Add me here to save its messages; nothing is "
    "saved before that.",
    ZH: "我不在這個對話裡，無法得知誰讀得到。請先把我加進來，才能儲存這裡的訊息；在那之前不會儲存任何內容。",
}
INSTALL = {EN: "Add Shifu here", ZH: "把 Shifu 加進來"}
INSTALLED = {
    EN: "I am being added. Please choose “Save to knowledge” again in a moment.",
    ZH: "正在把我加進來，請稍候再選一次「存成知識」。",
}
OWN_WORDS = {
    EN: "I may not read the original here, so this counts as your own words, and nobody else is named as its author.",
    ZH: "我在這裡無法讀取原始訊息，因此會當成你自己的話，不會標示其他人為作者。",
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
