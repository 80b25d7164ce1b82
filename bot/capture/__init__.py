"""Expert know-how: what people offer, until somebody has looked at it."""
