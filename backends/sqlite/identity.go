package sqlite

import (
	"fmt"

	"golang.org/x/sys/unix"

	"smartseller/backends"
)

// identity is which file a path led to. Who has a file open keeps it, also when
// somebody moves it away or puts another in its place, and would go on writing
// where nobody looks.
type identity struct{ device, inode uint64 }

func identify(path string) (identity, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return identity{}, unreachable(fmt.Errorf("the storefront's file: %w", err))
	}
	return identity{s.Dev, s.Ino}, nil
}

// mustBe holds a path to the file that it led to.
func (i identity) mustBe(path string) error {
	now, err := identify(path)
	if err == nil && now != i {
		err = fmt.Errorf("%w: the storefront's file was replaced while it was open", backends.ErrStaleHandle)
	}
	return err
}
