"""From a decided notice to a message that has left: rendering, channels, delivery."""
