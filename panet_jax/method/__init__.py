"""The paper: pure functions of one episode, and the encoder that they run on."""
