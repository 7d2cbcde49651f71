package limit

import (
	"container/heap"
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// patience is how long a connection without a call is left alone where its
// address has no room: those that just came are about to be served, and
// closing them instead would serve nobody.
const patience = time.Second

// conns shares out the open connections. One that carries a call whose token
// holds is its repository's; any other is a stranger's, one of its address's
// crowd. Where there is no room, the largest crowd gives way.
type conns struct {
	most, strangers, perAddress, perRepository int
	now                                        func() time.Time

	mu           sync.Mutex
	open, lonely int       // in all; strangers
	silent       list.List // strangers of all addresses without a call, oldest first
	calling      list.List // and those with one
	crowds       map[netip.Addr]*crowd
	largest      crowdHeap
	repositories map[string]int
}

func newConns(o Options) *conns {
	return &conns{
		most: o.Connections, strangers: max(1, o.Connections/2), perAddress: o.ConnectionsPerAddress, perRepository: o.ConnectionsPerRepository,
		now: o.Now, crowds: map[netip.Addr]*crowd{}, repositories: map[string]int{},
	}
}

// admit counts a new connection, or says that there is no room for it. shed is
// whose place it takes, if anybody's; the caller closes it.
func (s *conns) admit(c *conn) (shed *conn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.proxied { // what it carries is bounded by its callers' addresses
		if s.open >= s.most {
			return nil, false
		}
	} else {
		if shed, ok = s.room(c.peer, s.open >= s.most); !ok {
			return nil, false
		}
		c.home = s.crowd(c.peer)
		c.home.homes++
	}
	s.open++
	s.rest(c)
	return shed, true
}

// room finds a place in the crowd of an address, and takes it from another
// where all are full.
func (s *conns) room(a netip.Addr, full bool) (shed *conn, ok bool) {
	mine := s.crowd(a)
	defer s.forget(mine)
	switch {
	case mine.size() >= s.perAddress:
		shed = s.stale(&mine.silent)
	case !full && s.lonely < s.strangers:
		return nil, true
	case s.largest[0].size() > max(1, mine.size()):
		shed = oldest(&s.largest[0].silent, &s.largest[0].calling)
	case mine.size() == 0: // everybody has one: those that just came are about to be served
		shed = oldest(&s.silent, &s.calling)
	default: // many addresses with little each
		if shed = mine.kept(); shed == nil {
			shed = s.stale(&s.silent)
		}
	}
	if shed != nil {
		s.drop(shed)
	}
	return shed, shed != nil
}

// stale is the first of a queue that had its time to ask for something.
func (s *conns) stale(silent *list.List) *conn {
	if front := silent.Front(); front != nil {
		if oldest := front.Value.(*conn); s.now().Sub(oldest.since) >= patience {
			return oldest
		}
	}
	return nil
}

// call begins a call of that client. One that a proxy brings is refused where
// its client has no room; another's may have to give way to it.
func (s *conns) call(c *conn, client netip.Addr) (shed *conn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone {
		return nil, false
	}
	known := c.crowd != nil && c.crowd.address == client
	s.leave(c)
	if !known {
		if shed, ok = s.room(client, false); !ok {
			return nil, false
		}
	}
	s.join(c, s.crowd(client), true)
	return shed, true
}

// prove counts the connection for a repository while its call lasts.
func (s *conns) prove(c *conn, repository string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone || c.repository == repository {
		return true
	}
	if s.repositories[repository] >= s.perRepository {
		return false
	}
	s.leave(c)
	s.repositories[repository]++
	c.repository = repository
	return true
}

// idle ends a call: what it proved was for that call. shed gives way where
// its address has too many now.
func (s *conns) idle(c *conn) (shed *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone {
		return nil
	}
	s.leave(c)
	c.served = true
	s.rest(c)
	if c.crowd != nil && (c.crowd.size() > s.perAddress || s.lonely > s.strangers) {
		shed = oldest(&c.crowd.silent, &c.crowd.calling)
		s.drop(shed)
	}
	return shed
}

// release forgets a connection that is closed.
func (s *conns) release(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
}

func (s *conns) drop(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	s.open--
	s.leave(c)
	if c.home != nil {
		c.home.homes--
		s.forget(c.home)
	}
}

// rest is where a connection without a call is counted: a proxy's for nobody.
func (s *conns) rest(c *conn) {
	if c.home != nil {
		s.join(c, c.home, false)
	}
}

func (s *conns) join(c *conn, mine *crowd, calling bool) {
	c.since, c.crowd, c.queue = s.now(), mine, &mine.silent
	c.all = &s.silent
	if calling {
		c.queue, c.all = &mine.calling, &s.calling
	}
	c.place, c.inAll = c.queue.PushBack(c), c.all.PushBack(c)
	s.lonely++
	s.sized(mine)
}

// leave takes the connection from whomever it is counted for.
func (s *conns) leave(c *conn) {
	if c.repository != "" {
		if s.repositories[c.repository]--; s.repositories[c.repository] == 0 {
			delete(s.repositories, c.repository)
		}
		c.repository = ""
	}
	if mine := c.crowd; mine != nil {
		c.queue.Remove(c.place)
		c.all.Remove(c.inAll)
		c.crowd, c.queue, c.place, c.all, c.inAll = nil, nil, nil, nil, nil
		s.lonely--
		s.sized(mine)
		s.forget(mine)
	}
}

func (s *conns) crowd(a netip.Addr) *crowd {
	mine := s.crowds[a]
	if mine == nil {
		mine = &crowd{address: a}
		s.crowds[a] = mine
		heap.Push(&s.largest, mine)
	}
	return mine
}

func (s *conns) sized(mine *crowd) { heap.Fix(&s.largest, mine.index) }

// forget keeps no crowd of nobody.
func (s *conns) forget(mine *crowd) {
	if mine.size() == 0 && mine.homes == 0 && s.crowds[mine.address] == mine {
		delete(s.crowds, mine.address)
		heap.Remove(&s.largest, mine.index)
	}
}
