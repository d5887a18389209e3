"""The roles on machines of their own: who carries messages, the client's trusted process, the server that resumes."""
