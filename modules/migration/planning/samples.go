package planning

import "time"

const samples = 96 // at most, of what backends carry

// sampleUntil records what is carried at the times before another; when they become too
// many, every other one is forgotten.
func (s *simulation) sampleUntil(end time.Time) {
	for at := s.nextSample(); at.Before(end); at = s.nextSample() {
		s.now = at
		s.sample()
	}
}

func (s *simulation) nextSample() time.Time {
	times := s.forecast.Times
	if len(times) == 0 {
		return s.from
	}
	return time.UnixMicro(times[len(times)-1]).Add(s.every)
}

func (s *simulation) sample() {
	f := &s.forecast
	if len(f.Times) == samples {
		f.Times, f.Moved = everyOther(f.Times), everyOther(f.Moved)
		for name := range s.course {
			s.course[name] = everyOther(s.course[name])
		}
		s.every *= 2
	}
	f.Times, f.Moved = append(f.Times, s.now.UnixMicro()), append(f.Moved, s.moved)
	for name, l := range s.load {
		s.course[name] = append(s.course[name], *l)
	}
}

func everyOther[T any](all []T) (kept []T) {
	for i := 0; i < len(all); i += 2 {
		kept = append(kept, all[i])
	}
	return kept
}
