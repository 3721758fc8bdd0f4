"""The method, pure functions of one episode: the paper's, the adapted head, presence, and the encoders with their layers."""
