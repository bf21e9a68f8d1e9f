"""How well the assistant drafts: descriptions with the settings that are expected of them."""
