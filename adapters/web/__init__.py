"""The built-in web chat: a page without a build step and the channel behind it."""
