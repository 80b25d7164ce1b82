"""What the bot says in reply to commands, in both languages."""

from bot.commands import Command
from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

HELP = {
    EN: "Ask me anything about the company's documents, in Chinese or English. I answer only from what everyone "
    "who reads the answer may read, and I cite my sources. {follow_up}\n\nCommands:\n{commands}",
    ZH: "用中文或英文問我公司文件裡的任何問題。我只使用所有讀得到這則回答的人都可以閱讀的文件，並附上出處。"
    "{follow_up}\n\n指令：\n{commands}",
}
FOLLOW_UP_ALONE = {EN: "Go on asking right here.", ZH: "可以直接在這裡繼續追問。"}
FOLLOW_UP_SHARED = {
    EN: "Ask follow-up questions in the same thread.",
    ZH: "可以在同一個討論串繼續追問。",
}
ABOUT = {
    Command.HELP: {EN: "this list", ZH: "這份說明"},
    Command.SOURCES: {EN: "what I can search here", ZH: "我在這裡可以搜尋的內容"},
    Command.WHY: {EN: "how I came to my last answer here", ZH: "我上一則回答的依據"},
    Command.STATUS: {EN: "whether everything works", ZH: "系統是否正常"},
    Command.LANGUAGE: {
        EN: "`zh`, `en` or `auto`: the language I use with you",
        ZH: "`zh`、`en` 或 `auto`：我對你使用的語言",
    },
    Command.FORGET: {EN: "forget this conversation", ZH: "清除這段對話的記憶"},
    Command.FORGET_ME: {EN: "forget everything about you", ZH: "清除所有關於你的資料"},
    Command.REPORT: {EN: "tell the administrators what is wrong", ZH: "向管理員回報問題"},
}
UNKNOWN = {
    EN: "There is no command “{name}”. These exist:\n{commands}",
    ZH: "沒有「{name}」這個指令。可以使用的指令：\n{commands}",
}

COMMAND = {EN: "- `{command}`: {about}", ZH: "- `{command}`：{about}"}
ASK_IN_PRIVATE = {
    EN: ("{command} QUESTION", "answers you alone, wherever you are"),
    ZH: ("{command} 問題", "在任何地方私下回答，只有你看得到"),
}

SOURCES_ALONE = {EN: "You may read:", ZH: "你可以閱讀："}
SOURCES_SHARED = {
    EN: "Everyone who reads this reply may read:",
    ZH: "所有讀得到這則回覆的人都可以閱讀：",
}
NO_SOURCES_ALONE = {
    EN: "I know no document that you may read.",
    ZH: "目前沒有你可以閱讀的文件。",
}
NO_SOURCES_SHARED = {
    EN: "I know no document that everyone who reads this reply may read.",
    ZH: "目前沒有所有讀得到這則回覆的人都可以閱讀的文件。",
}
ONE_DOCUMENT = {EN: "1 document", ZH: "1 份文件"}
DOCUMENTS = {EN: "{documents:,} documents", ZH: "{documents:,} 份文件"}
SOURCE = {
    EN: "- `{source}`: {documents}, latest change {newest}",
    ZH: "- `{source}`：{documents}，最近更新 {newest}",
}
SOURCE_UNDATED = {EN: "- `{source}`: {documents}", ZH: "- `{source}`：{documents}"}

WHY_NONE = {
    EN: "I have given you no answer here that I could explain. I keep how answers came about for 30 days.",
    ZH: "這裡沒有我可以說明的回答。回答的依據會保留 30 天。",
}
WHY_UNKNOWN = {
    EN: "I know no answer with this number that could be explained here. I keep how answers came about for 30 days, "
    "and explain an answer where it was given, or to the person who asked.",
    ZH: "這裡沒有這個編號的回答可以說明。回答的依據會保留 30 天，只在原處或向提問的人說明。",
}
SCOPE_OWN = {EN: "I used what you can read.", ZH: "我使用的是你能讀的內容。"}
SCOPE_UNCHECKED = {
    EN: "I used public documents only, because I could not check who may read what.",
    ZH: "我無法確認閱讀權限，因此只使用了公開文件。",
}
SCOPE_HERE = {
    EN: "I used what all {readers:,} people here can read.",
    ZH: "我使用的是這裡 {readers:,} 位成員都能讀的內容。",
}
SCOPE_HERE_OPEN = {
    EN: "I used what all {readers:,} people here can read, and everyone who may join.",
    ZH: "我使用的是這裡 {readers:,} 位成員、以及任何可以加入的人都能讀的內容。",
}
SCOPE_THERE = {
    EN: "I used what all {readers:,} people in that conversation can read.",
    ZH: "我使用的是那個對話的 {readers:,} 位成員都能讀的內容。",
}
CONSIDERED = {EN: "Sources that I considered:\n{titles}", ZH: "考慮過的出處：\n{titles}"}
NO_CONSIDERED_ALONE = {
    EN: "Sources that I considered and you may read: none.",
    ZH: "我考慮過而且你可以閱讀的出處：無。",
}
NO_CONSIDERED_SHARED = {
    EN: "Sources that I considered and everyone here may read: none.",
    ZH: "我考慮過而且這裡每個人都可以閱讀的出處：無。",
}
FOUND_NOTHING = {
    EN: "It was not enough to answer the question.",
    ZH: "這些內容不足以回答這個問題。",
}
BY_MODEL = {
    EN: "The model {model} wrote the answer; each sentence was checked against its source.",
    ZH: "回答由模型 {model} 撰寫，每一句都經過出處查核。",
}
EXTRACT_AFTER_MODEL = {
    EN: "The sentences are the documents' own; the model {model} was asked, but wrote none of them.",
    ZH: "句子都是文件的原文；曾詢問模型 {model}，但沒有使用它寫的內容。",
}
NO_MODEL = {
    EN: "No model: the sentences are the documents' own.",
    ZH: "沒有使用模型，句子都是文件的原文。",
}
TOOK = {EN: "It took {took_s:.1f} seconds.", ZH: "花了 {took_s:.1f} 秒。"}
TOOK_TOKENS = {
    EN: "It took {took_s:.1f} seconds and {tokens:,} tokens.",
    ZH: "花了 {took_s:.1f} 秒、{tokens:,} 個 token。",
}
COST = {EN: "That cost about US${cost:.4f}.", ZH: "費用約 US${cost:.4f}。"}

DOCUMENTS_REACHED = {EN: "- Documents: reachable", ZH: "- 文件庫：正常"}
DOCUMENTS_AWAY = {EN: "- Documents: not reachable right now", ZH: "- 文件庫：目前無法連上"}
MODEL = {EN: "- Model: {model}", ZH: "- 模型：{model}"}
STATUS_NO_MODEL = {
    EN: "- Model: none; I answer with the documents' own sentences",
    ZH: "- 模型：無，以文件的原文回答",
}
MEMORY_WORKS = {EN: "- Memory: works", ZH: "- 對話記憶：正常"}
MEMORY_AWAY = {
    EN: "- Memory: away right now; ask follow-up questions in full",
    ZH: "- 對話記憶：目前無法使用，追問時請寫完整",
}
QUEUE_EMPTY = {EN: "- Queue: nobody is waiting", ZH: "- 佇列：沒有人在等候"}
QUEUE = {
    EN: "- Queue: {waiting:,} waiting, the first for {oldest_s:.0f} seconds",
    ZH: "- 佇列：{waiting:,} 個問題在等候，最久的等了 {oldest_s:.0f} 秒",
}
ADMIN_QUEUE = {
    EN: "- For administrators: {waiting:,} waiting, {unfinished:,} unfinished, {dead:,} given up",
    ZH: "- 管理員資訊：等候 {waiting:,}、未完成 {unfinished:,}、已放棄 {dead:,}",
}
ADMIN_INDEX = {
    EN: "- Index: {documents:,} documents, {chunks:,} passages, {without:,} of them without a vector",
    ZH: "- 索引：{documents:,} 份文件、{chunks:,} 個段落，其中 {without:,} 個還沒有向量",
}

LANGUAGE_SET = {
    EN: "From now on I use English with you, whichever language you ask in.",
    ZH: "好的，之後不論你用什麼語言提問，我都用中文回答你。",
}
LANGUAGE_AUTO = {
    EN: "From now on I answer in the language of each question.",
    ZH: "好的，之後你用什麼語言問，我就用什麼語言回答。",
}
LANGUAGE_USAGE = {
    EN: "Write `{command} zh` for Chinese, `{command} en` for English, or `{command} auto` for the language of each "
    "question.",
    ZH: "輸入「{command} zh」使用中文、「{command} en」使用英文，或「{command} auto」依照每個問題的語言。",
}
FORGOTTEN_ME = {
    EN: "I have forgotten what I kept about you: your questions, what I remembered of your conversations, your "
    "feedback, and your language. The messages themselves stay where they are in the chat.",
    ZH: "我已經清除關於你的資料：你問過的問題、對話記憶、回饋和語言設定。聊天裡的訊息本身仍會留在原處。",
}
NOT_FORGOTTEN = {
    EN: "I cannot remove it right now: what I keep is not reachable. Please try again in a minute.",
    ZH: "目前無法清除：暫時連不上保存的資料，請過一分鐘再試。",
}
NOT_SAVED = {
    EN: "I cannot keep that right now. Please try again in a minute.",
    ZH: "目前無法儲存，請過一分鐘再試。",
}
RECORDS_AWAY = {
    EN: "I cannot look that up right now. Please try again in a minute.",
    ZH: "目前無法查詢，請過一分鐘再試。",
}
REPORT_USAGE = {
    EN: "Write what is wrong behind the command, for example: `{command} The holiday calendar is last year's.`",
    ZH: "請在指令後面寫下問題，例如：「{command} 行事曆是去年的」。",
}
REPORT_TOO_LONG = {
    EN: "Your report has {length:,} characters; I can keep {limit:,}. Please shorten it.",
    ZH: "你的回報有 {length:,} 個字元，最多可保存 {limit:,} 個，請縮短。",
}
REPORTED = {
    EN: "Thank you. Your report is kept, and the administrators can read it.",
    ZH: "謝謝，回報已經保存，管理員會看到。",
}
REPORTED_WITH_ANSWER = {
    EN: "Thank you. Your report is kept together with my last answer to you here, and the administrators can read it.",
    ZH: "謝謝，回報已經和我上一則給你的回答一起保存，管理員會看到。",
}
