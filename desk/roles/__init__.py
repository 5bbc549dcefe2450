"""The processes of a home: started, held, watched and ended."""
