/*
 * The move of one storefront, for the model checker spin: customers write and read
 * through caches of any age while movers take the move over from each other at any
 * moment, pause for any time, die, cut over, abort, cancel and roll back.
 *
 * The names are the code's: phases, cuts and fence states as in migration.go and
 * backends.go, inlines as the methods of run, hook(Kn) at the same points.
 * names_test.go holds them together. README.md says what is left out.
 *
 * A mutant is the same text with one step broken (spin -DNAME): see mutants below.
 */

#ifndef MOVERS
#define MOVERS 2		/* takeovers are one less */
#endif
#ifndef WRITERS
#define WRITERS 2		/* each one transaction, unless WRITES says more */
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef READS
#define READS 1
#endif
#ifndef TRIES
#define TRIES 2			/* of a crossing, before it is given up */
#endif
#define ROWS 2			/* each a chunk of its own */

#define SOURCE 0
#define TARGET 1

mtype = { Preparing, Copying, CatchingUp, Verifying, CuttingOver, Watching, Finalizing, Completed, RollingBack, RolledBack, Cancelling, Cancelled };
mtype = { NotCut, Cutting, Aborted, Committed };
mtype = { Absent, Loading, Active, Sealed, Closed, Moved, Standby };
mtype = { K1, K2, K3, K4, K5, K6, K7, K8, K10, K11, K12, K13, K14, K15, K16, K17, K18 };

/* The control database. */
mtype phase = Preparing;
mtype cut = NotCut;
byte gen, tries, epoch = 1;
bit placement = SOURCE, ended;
bit inflight;			/* a COMMIT whose answer was lost still holds the move's row */
bit landing;			/* where that one would put the storefront */

/* The two places. */
typedef Place {
	mtype state = Absent;
	byte epoch, gen;	/* gen: of the mover that holds it */
	bit capture, held;
	byte writers;		/* transactions that hold the shared lock */
	bit locked[ROWS];	/* the row's lock */
	byte row[ROWS];		/* the version; 0: no row */
	byte captured[ROWS];	/* ids of entries, as bits */
	byte cursor, last
};
Place place[2];

/* What customers were promised: the version of each row last acknowledged. */
byte acked[ROWS], versions;

/* must stops the search with the name of the invariant that is broken. */
#define must(broken, holds) if :: (holds) :: else -> c_code { printf("BROKEN %s\n", #broken); }; assert(false) fi

#define open(p) (place[p].state == Active)
#define answers(p) (place[p].state == Active || place[p].state == Sealed)
#define oneWritable() must(I1_two_places_writable, !(open(SOURCE) && open(TARGET)))
#define nothingLost(p) must(I2_acknowledged_write_lost, place[p].row[0] == acked[0] && place[p].row[1] == acked[1])

/* ---- mutants ---- */

#ifdef TOKEN_UNLOCKED		/* the fencing number is read without a lock: check and effect are two steps */
#define TX
#else
#define TX atomic
#endif

#ifdef STALE_CACHE		/* an instance goes by the placement it keeps, and the place is not asked */
#define admitted(state) true
#else
#define admitted(state) ((state) && place[at].epoch == believed)
#endif

#ifdef LOG_CURSOR		/* captured keys are read as a log, behind a cursor, instead of as a set */
#define left(p, r) ((place[p].captured[r] >> (place[p].last + 1)) << (place[p].last + 1))
#define forget(p, r, e) if :: (e >> (place[p].last + 1)) -> place[p].last = highest(e) :: else fi
#define highest(e) ((e >> 4) -> 4 : ((e >> 3) -> 3 : ((e >> 2) -> 2 : 1)))
#else
#define left(p, r) place[p].captured[r]
#define forget(p, r, e) place[p].captured[r] = place[p].captured[r] & ~e
#endif

/* ---- customers, through a router that may believe what was true long ago ---- */

/* follow waits for the storefront to be open where the control database says it is. */
inline follow() {
	atomic { open(placement) && place[placement].epoch == epoch -> at = placement; believed = epoch }
}

/* believe: a request begins with an old placement, or has just looked it up. */
inline believe() {
	if
	:: skip
	:: atomic { at != placement || believed != epoch -> at = placement; believed = epoch }
	fi
}

proctype writer() {
	bit at = SOURCE, capture, adds;
	byte believed = 1, r, v, n;

	do
	:: n == WRITES -> break
	:: n < WRITES ->
		n++;
		believe();
try:
#ifdef FENCE_BEFORE_LOCK	/* the fence is read in a snapshot from before the lock was had */
		atomic {
			if
			:: admitted(open(at)) -> capture = place[at].capture
			:: else -> goto refused
			fi
		}
		place[at].writers++;
#else
		atomic {	/* the shared lock; in the next statement the fence */
			if
			:: admitted(open(at)) -> capture = place[at].capture; place[at].writers++
			:: else -> goto refused
			fi
		}
#endif
		atomic {	/* the statement: the row's lock; version and entry get their ids */
			if :: r = 0 :: r = 1 fi;
			!place[at].locked[r] -> place[at].locked[r] = 1;
			versions++; v = versions;
			adds = capture;
#ifdef UNIQUE_ENTRIES		/* ON CONFLICT DO NOTHING on the row's key */
			if :: place[at].captured[r] -> adds = 0 :: else fi;
#endif
		}
		atomic {	/* COMMIT, acknowledged */
			must(I1_write_at_a_sealed_place, open(at));
			must(I4_write_at_a_place_left, at == placement);
			place[at].row[r] = v; acked[r] = v;
			if :: adds -> place[at].captured[r] = place[at].captured[r] | (1 << v) :: else fi;
			place[at].locked[r] = 0; place[at].writers--;
		}
		goto next;
refused:
#ifdef FENCE_FILTERS		/* a fence that hides rows: UPDATE 0, acknowledged */
		atomic { versions++; acked[r] = versions; goto next };
#endif
		follow();
		goto try;
next:		skip
	od
}

proctype reader() {
	bit at = SOURCE;
	byte believed = 1, r, n, promised;

	do
	:: n == READS -> break
	:: n < READS ->
		n++;
		believe();
		atomic { if :: r = 0 :: r = 1 fi; promised = acked[r] };
try:		atomic {	/* the fence and the row, in one snapshot */
			if
			:: admitted(answers(at)) ->
				must(I4_read_at_a_place_left, at == placement);
				must(I3_stale_read, place[at].row[r] >= promised);
			:: else ->
#ifdef FENCE_FILTERS
				must(I3_stale_read, 0 >= promised);
#endif
				goto refused
			fi
		}
		goto next;
refused:	follow();
		goto try;
next:		skip
	od
}

/* ---- the mover ---- */

/* hook is where a coordinator may die; the last one lives. Pausing needs no step:
   any process may stand still for any time. */
inline hook(k) {
	if
	:: my < MOVERS -> goto dead
	:: true
	fi
}

/* guarded is a transaction's first statement: the token, with the fence's row locked. */
inline guarded(p) {
	if
	:: place[p].held && place[p].gen == my
	:: else -> goto lost
	fi
}

#define current(p) must(I5_stale_mover, place[p].held && place[p].gen == my)

/* save is a transaction on the move's row in the control database. */
#define save(change) atomic { !inflight -> if :: gen == my -> change :: else -> goto lost fi }
#define enter(p) save(phase = p)

inline acquire(p) {		/* open and acquire: take the fence over */
	atomic {
		if
		:: place[p].state != Absent && place[p].gen < my -> place[p].gen = my	/* a free fence learns of it too */
		:: place[p].state != Absent && place[p].gen > my -> goto lost
		:: else
		fi
	}
}

/* drain brings over what was captured: read the keys, read those rows now, make
   the other side equal, forget exactly those entries. Keys that a chunk has yet to
   read are forgotten unapplied. */
inline drain(from, to, second) {
	d_step { e0 = left(from, 0); e1 = left(from, 1) };
	if
	:: e0 || e1 ->
#ifdef FORGET_FIRST		/* entries are deleted before their effect is durable */
		TX { guarded(from); d_step { forget(from, 0, e0); forget(from, 1, e1) } };
		atomic { hook(K5); v0 = place[from].row[0]; v1 = place[from].row[1] };
#else
		d_step { v0 = place[from].row[0]; v1 = place[from].row[1] };
#endif
		TX {
			guarded(to);
			atomic {
				current(to);
				if :: e0 -> place[to].row[0] = v0 :: else fi;
				if :: e1 && second -> place[to].row[1] = v1 :: else fi
			}
		};
#ifndef FORGET_FIRST
		TX { hook(K5); guarded(from); d_step { forget(from, 0, e0); forget(from, 1, e1) } };
#endif
	:: else
	fi
}

/* retire: capture off, writers out that still record, nothing left, the fence free. */
inline retire(p) {
	if
	:: place[p].held ->
		TX { guarded(p); atomic { current(p); place[p].state = Active; place[p].capture = 0; oneWritable() } };
		atomic { place[p].writers == 0 -> guarded(p) };
		TX { guarded(p); d_step { place[p].captured[0] = 0; place[p].captured[1] = 0 } };
		TX { guarded(p); place[p].held = 0; place[p].last = 0 };
#ifdef RELEASE_FORGETS		/* a fence that is released forgets who held it */
		place[p].gen = 0
#endif
	:: else
	fi
}

inline erase(p) {
	if
	:: place[p].held ->
		TX {
			guarded(p);
			atomic {
				current(p);
				must(purge_of_a_place_that_serves, place[p].state != Active && place[p].state != Sealed && place[p].state != Closed);
				place[p].row[0] = 0; place[p].row[1] = 0; place[p].captured[0] = 0; place[p].captured[1] = 0;
				place[p].state = Absent; place[p].held = 0; place[p].gen = 0; place[p].capture = 0; place[p].cursor = 0; place[p].epoch = 0
			}
		}
	:: else
	fi
}

proctype mover() {
	byte my, e0, e1, v0, v1, r;
	mtype phase_ = Preparing;
	mtype cut_ = NotCut;
	bit from, to;

claim:
	atomic {
		!inflight;
		if
		:: ended -> goto dead
		:: else -> must(I7_move_does_not_end, gen < MOVERS + 4); gen++; my = gen; phase_ = phase; cut_ = cut
		fi
	};
	acquire(SOURCE);
	acquire(TARGET);
	if
	:: phase_ == Preparing -> goto prepare
	:: phase_ == Copying -> goto copyTables
	:: phase_ == CatchingUp -> goto catchUp
	:: phase_ == Verifying -> goto verify
	:: phase_ == CuttingOver -> from = SOURCE; to = TARGET; goto cross
	:: phase_ == RollingBack -> from = TARGET; to = SOURCE; goto rollBack
	:: phase_ == Watching -> goto watch
	:: phase_ == Finalizing -> goto finalize
	:: phase_ == Cancelling -> goto undo
	:: else -> goto lost
	fi;

prepare:
	atomic {		/* makeTarget: Install */
		if
		:: place[TARGET].state == Absent ->
			place[TARGET].state = Loading; place[TARGET].epoch = 2; place[TARGET].held = 1; place[TARGET].gen = my
		:: place[TARGET].state == Loading && place[TARGET].gen <= my -> place[TARGET].gen = my
		:: else -> goto lost
		fi
	};
	atomic {		/* Enlist */
		if
		:: open(SOURCE) && place[SOURCE].epoch == 1 && place[SOURCE].gen <= my ->
			place[SOURCE].capture = 1; place[SOURCE].held = 1; place[SOURCE].gen = my
		:: else -> goto lost
		fi
	};
	atomic { hook(K1) };
#ifndef NO_BARRIER		/* nobody waits for writers that began before capture */
	atomic { place[SOURCE].writers == 0 -> hook(K2); guarded(SOURCE) };	/* barrier */
#endif
	enter(Copying);

copyTables:
	do
	:: place[TARGET].cursor >= ROWS -> break
	:: else ->
		d_step { r = place[TARGET].cursor; if :: r >= ROWS -> r = ROWS - 1 :: else fi; v0 = place[SOURCE].row[r] };
		TX { hook(K3); guarded(TARGET); atomic { current(TARGET); place[TARGET].row[r] = v0; place[TARGET].cursor = r + 1 } };
		atomic { hook(K4) };
#ifndef PARALLEL_APPLY		/* chunks and changes are applied side by side: see applier */
		drain(SOURCE, TARGET, r > 0)
#endif
	od;
	if
	:: enter(CatchingUp)
	:: goto cancel
	fi;

catchUp:			/* as often as it likes; what is left, the last drain brings */
	if
	:: drain(SOURCE, TARGET, true)
	:: true
	fi;
	enter(Verifying);

verify:			/* finds a difference or not: lastDrain's end asserts that there is none */
	atomic { hook(K6); hook(K7); from = SOURCE; to = TARGET; cut_ = NotCut };
	save(phase = CuttingOver; cut = NotCut);

cross:
	if
	:: cut_ == Committed -> goto finish
	:: cut_ == Cutting -> goto abort
	:: cut_ == Aborted -> goto reopen
	:: else
	fi;
	if			/* heed */
	:: from == SOURCE -> goto cancel
	:: true
	fi;
	/* attempt: the copy is whole, which tells it from one that a late owner makes */
	TX {
		guarded(to);
		atomic {
			current(to);
#ifndef OPENS_LOADING		/* any place of the move may be opened, also one that was erased and made again */
			place[to].state = Standby;
#endif
#ifndef REVERSE_LATE		/* capture at the new place is switched on after it was opened */
#ifndef REVERSE_OFF		/* capture at the new place is not on yet at the commit */
			place[to].capture = (to == TARGET)
#endif
#endif
		}
	};
	save(if :: cut == NotCut -> cut = Cutting; tries++ :: else -> goto lost fi);
	atomic { hook(K8) };
	if			/* seal: the exclusive lock ends all writers; in vain, or whatever else may go wrong: abort */
#ifdef NO_DRAIN			/* writers under way are not waited for */
	:: atomic { guarded(from); place[from].state = Sealed }
#else
	:: atomic { place[from].writers == 0 -> guarded(from); place[from].state = Sealed }
#endif
	:: goto abort
	fi;
	atomic { hook(K10) };
	do			/* lastDrain */
	:: left(from, 0) || left(from, 1) -> drain(from, to, true)
	:: else -> break
	od;
	if
#ifndef CLOSE_LATE		/* the old place is closed for reads after the new one was opened */
	:: TX { hook(K11); guarded(from); atomic { current(from); place[from].state = Closed } }
#else
	:: true
#endif
	:: goto abort
	fi;
	atomic {		/* commit: the point of no return */
		!inflight;
		hook(K12);
		if
		:: gen == my && cut == Cutting
		:: else -> goto lost
		fi;
		must(I8_something_left_to_drain, !left(from, 0) && !left(from, 1));
		must(I8_copy_differs, place[from].row[0] == place[to].row[0] && place[from].row[1] == place[to].row[1]);
#ifndef CLOSE_LATE
		must(I8_old_place_answers, place[from].state == Closed);
#endif
#ifndef REVERSE_LATE		/* which is to show what it loses */
		must(I8_no_reverse_capture, place[to].capture == (to == TARGET));
#endif
		landing = to;
		if
		:: cut = Committed; placement = to; epoch++; goto finish
		:: inflight = 1 	/* the answer is lost */
		fi
	};
	atomic {		/* learn */
		hook(K13);
		if
		:: gen != my -> goto lost
		:: gen == my && cut == Committed -> goto finish
		:: else -> goto abort
		fi
	};

finish:
	TX {
		hook(K14);
		guarded(to);
		atomic {
			current(to);
			if
			:: open(to)
#ifdef OPENS_LOADING
			:: !open(to) ->
#else
			:: place[to].state == Standby ->
#endif
				nothingLost(to);
				place[to].state = Active; place[to].epoch = (to == TARGET -> 2 : 3); oneWritable();
#ifndef REVERSE_LATE
				place[to].capture = (to == TARGET)
#endif
#ifndef OPENS_LOADING
			:: else -> goto lost
#endif
			fi
		}
	};
	atomic { hook(K15) };
	if
#ifndef ERASED_IS_STALE		/* a place that an earlier owner has erased already is taken for one that was taken over */
	:: place[from].state == Absent || place[from].state == Loading	/* Loading: made again, empty, by one that was late */
#endif
	:: else ->
		TX {
			guarded(from);
			atomic {
				current(from);
				place[from].state = (to == TARGET -> Standby : Moved); place[from].epoch = (to == TARGET -> 2 : 3); place[from].capture = 0
			}
		}
	fi;
#ifdef REVERSE_LATE
	TX { guarded(to); place[to].capture = (to == TARGET) };
#endif
	if
	:: to == TARGET -> enter(Watching); goto watch
	:: else
	fi;
	erase(TARGET);
	retire(SOURCE);
rolledBack:
	save(phase = RolledBack; ended = 1);
	goto lost;

abort:				/* a commit is made impossible first, the old place opened then */
#ifdef UNSEAL_FIRST
	TX { guarded(from); atomic { current(from); place[from].state = Active; oneWritable() } };
#endif
	if
	:: save(if :: cut == Committed -> goto lost :: else -> cut = Aborted fi)
	:: from == SOURCE -> goto cancel	/* hopeless: it could not be saved for too long */
	fi;
reopen:
	TX {
		guarded(from);
		atomic {
			current(from);
			if
			:: open(from)
			:: else -> nothingLost(from); place[from].state = Active; oneWritable()
			fi;
			place[from].capture = 1
		}
	};
	if			/* again; or fail, or stayAhead */
	:: tries < TRIES -> save(cut = NotCut); cut_ = NotCut; goto cross
	:: from == SOURCE -> goto cancel
	:: from == TARGET -> save(phase = Watching; cut = Committed; tries = TRIES); goto watch
	fi;

watch:
	do
	:: left(TARGET, 0) || left(TARGET, 1) -> drain(TARGET, SOURCE, true); atomic { hook(K16) }
	:: tries < TRIES -> save(phase = RollingBack; cut = NotCut); cut_ = NotCut; from = TARGET; to = SOURCE; goto rollBack
	:: enter(Finalizing); goto finalize
	od;

rollBack:
	atomic { hook(K17) };
	if			/* all was done but the last word */
	:: cut_ == Committed && open(SOURCE) && !place[SOURCE].held -> goto rolledBack
	:: else -> goto cross
	fi;

finalize:
	if
	:: place[SOURCE].held -> TX { guarded(SOURCE); atomic { current(SOURCE); place[SOURCE].state = Moved } }
	:: else
	fi;
	erase(SOURCE);
	atomic { hook(K18) };
	retire(TARGET);
	save(phase = Completed; ended = 1);
	goto lost;

cancel:
#ifdef CANCEL_UNCHECKED		/* a cancel does not ask whether the commit has happened */
	enter(Cancelling);
#else
	save(if :: cut == Committed -> goto lost :: else -> phase = Cancelling fi);
#endif
undo:
	if
	:: cut == Cutting -> save(if :: cut == Committed -> goto lost :: else -> cut = Aborted fi)
	:: else
	fi;
	retire(SOURCE);
	acquire(TARGET);
	erase(TARGET);
	save(phase = Cancelled; ended = 1);

lost:				/* it leaves the move; if nobody else took it over, it will claim it again */
	if
	:: atomic { gen == my && !ended -> goto claim }
	:: atomic { gen != my || ended }
	fi;
dead:	skip
}

#ifdef PARALLEL_APPLY
proctype applier() {
	byte my = 1, e0, e1, v0, v1;
	place[TARGET].cursor > 0;
	drain(SOURCE, TARGET, true);
lost:	skip;
dead:	skip
}
#endif

/* network lets a COMMIT whose answer was lost happen, or not, at any later moment. */
proctype network() {
end:	do
	:: inflight -> atomic {
		if
		:: cut = Committed; placement = landing; epoch++
		:: true
		fi;
		inflight = 0
	}
	od
}

/* judge looks when nothing moves any more: every run ends, and ends well. */
proctype judge() {
	timeout;
	must(I7_move_does_not_end, ended);
	must(I12_not_open, open(placement) && place[placement].epoch == epoch);
	nothingLost(placement);
	must(I7_source_not_as_it_was, !place[placement].capture && !place[placement].held);
	/* A mover that was taken over before it made the target may still make it, empty; the next move clears it away. */
	must(I7_residue_at_the_other_place, place[1 - placement].state == Absent || placement == SOURCE && place[TARGET].state == Loading);
	must(I7_residue_at_the_other_place, !place[1 - placement].row[0] && !place[1 - placement].row[1])
}

init {
	byte i;
	atomic {
		place[SOURCE].state = Active; place[SOURCE].epoch = 1;
		i = 0; do :: i < WRITERS -> run writer(); i++ :: else -> break od;
		i = 0; do :: i < READERS -> run reader(); i++ :: else -> break od;
		i = 0; do :: i < MOVERS -> run mover(); i++ :: else -> break od;
#ifdef PARALLEL_APPLY
		run applier();
#endif
		run network();
		run judge()
	}
}
