"""How a placeholder is drawn: from chance by way of palette, scene and caption to paint."""
