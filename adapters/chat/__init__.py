"""What the chat platforms have in common: one reply for one event, what was looked up of people, and words."""
