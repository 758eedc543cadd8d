"""Audio files and mu-law codes; imports neither torch nor librosa, so that decoding processes stay small."""
