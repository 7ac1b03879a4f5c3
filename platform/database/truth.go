package database

// Truth is a boolean as both engines' schemas keep it: 1 or 0.
func Truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
