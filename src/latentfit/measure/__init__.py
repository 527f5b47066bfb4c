"""What trained networks are like: networks and images in, results out. No file is read or written here."""
