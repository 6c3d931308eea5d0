"""The forward pass of Qwen2-VL: vision tower, decoder, and the vectors that come out."""
