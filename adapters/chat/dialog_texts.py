"""What the bot says by itself on a chat platform, in answer to buttons and in dialogs; in both languages."""

from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

LEFT_THREAD = {
    EN: "All right. I say no more in this thread; mention me when you need me.",
    ZH: "好的，我不再回覆這個討論串；需要時再提及我就可以了。",
}
NOT_ACCEPTED = {
    EN: "I could not take this just now. Nothing was changed; please try again in a minute.",
    ZH: "目前無法處理，什麼都沒有變動，請過一分鐘再試一次。",
}
THANKS_FOR_FEEDBACK = {EN: "Thank you, that helps.", ZH: "謝謝你的回饋，這對我很有幫助。"}
NOT_KEPT = {
    EN: "I no longer have this answer, or it is not yours. Please ask the question again.",
    ZH: "這則答案已經不在了，或者不是你的。請再問一次。",
}
COPY_ON_ITS_WAY = {
    EN: "I am writing it to you as a direct message, with what you may read now.",
    ZH: "我會依你目前可以閱讀的內容，用私訊寫給你。",
}
SHARED = {
    EN: "Your question stands in the channel now, and is being answered there.",
    ZH: "你的問題已經貼到頻道，正在那裡回答。",
}
SHARED_ALREADY = {
    EN: "You have shared this answer here already.",
    ZH: "你已經把這則答案分享到這裡了。",
}
NO_SOURCES_LEFT = {
    EN: "The sources of this answer that you may read.",
    ZH: "這則答案的出處中，你可以閱讀的部分。",
}
CANCEL = {EN: "Cancel", ZH: "取消"}
SEND = {EN: "Send", ZH: "送出"}
SHARE = {EN: "Share", ZH: "分享"}
FEEDBACK_TITLE = {EN: "What was wrong?", ZH: "哪裡不對？"}
FEEDBACK_LABEL = {
    EN: "What did you expect? Your words go to the people who look after Shifu.",
    ZH: "你期待的答案是什麼？這段話會交給維護 Shifu 的同仁。",
}
SHARE_TITLE = {EN: "Share in channel", ZH: "分享到頻道"}
SHARE_QUESTION = {
    EN: "I ask your question in the channel, under your name, and answer it anew there:\n\n{question}",
    ZH: "我會以你的名義在頻道提出這個問題，並在那裡重新回答：\n\n{question}",
}
SHARE_MISSING = {
    EN: "{missing} of your sources cannot be read by everyone there ({readers} people) and will be missing; {shared} "
    "remain. Only you see this list:",
    ZH: "有 {missing} 個來源不是那裡的每個人（共 {readers} 人）都能閱讀，因此不會出現；會保留 {shared} 個。"
    "只有你看得到這份清單：",
}
SHARE_NOTHING_MISSING = {
    EN: "Everyone there ({readers} people) may read all its sources; nothing will be missing.",
    ZH: "那裡的每個人（共 {readers} 人）都能閱讀所有來源，內容不會減少。",
}
SHARE_UNCHECKED = {
    EN: "I could not check who may read what there, so the answer will use public documents only.",
    ZH: "我無法確認那裡的閱讀權限，因此答案只會使用公開文件。",
}
SAVE_TITLE = {EN: "Save to knowledge", ZH: "存成知識"}
SAVE_LABELS = {EN: ("Title", "What should be kept"), ZH: ("標題", "要保留的內容")}
SAVE_AUDIENCE = {EN: "Who should be able to read it?", ZH: "誰可以閱讀？"}
SAVE_AUDIENCES = {
    EN: ("The people in this channel", "All employees", "Only me for now"),
    ZH: ("這個頻道的成員", "全體員工", "暫時只有我"),
}
SAVE_CUT = {
    EN: "Only its first {most:,} characters fit here.",
    ZH: "這裡只放得下前 {most:,} 個字元。",
}
SAVE_HINT = {
    EN: "Nothing is published by this: it waits until somebody reviews it, with a link to the original message.",
    ZH: "這樣還不會公開：會等候專人審核，並附上原始訊息的連結。",
}
NOTHING_TO_SAVE = {
    EN: "This message has no text that could be kept.",
    ZH: "這則訊息沒有可以保留的文字。",
}
SAVED_FOR_REVIEW = {
    EN: "Thank you. It waits for review now; nothing is published before that.",
    ZH: "謝謝你。內容已送交審核，審核前不會公開。",
}
TOO_MANY_SAVED = {
    EN: "You have proposed a lot today. Nothing was saved; please go on tomorrow.",
    ZH: "你今天提交了很多內容，這次沒有儲存，請明天再繼續。",
}
