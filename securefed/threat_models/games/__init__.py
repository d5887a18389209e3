"""The games: one attack a file, each played with the defences off and on."""
