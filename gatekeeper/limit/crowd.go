package limit

import (
	"container/list"
	"net/netip"
)

// crowd is an address's strangers, those who came first in front.
type crowd struct {
	address         netip.Addr
	silent, calling list.List // silent: its headers did not come whole yet
	homes           int       // open connections from it, a repository's included
	index           int       // in the heap
}

func (c *crowd) size() int { return c.silent.Len() + c.calling.Len() }

// kept is a connection that was served and is kept for a call to come: its
// own address's next one may have its place at once.
func (c *crowd) kept() *conn {
	if front := c.silent.Front(); front != nil && front.Value.(*conn).served {
		return front.Value.(*conn)
	}
	return nil
}

// oldest prefers who has not asked for anything.
func oldest(silent, calling *list.List) *conn {
	for _, queue := range []*list.List{silent, calling} {
		if front := queue.Front(); front != nil {
			return front.Value.(*conn)
		}
	}
	return nil
}

// crowdHeap has the largest crowd first.
type crowdHeap []*crowd

func (h crowdHeap) Len() int           { return len(h) }
func (h crowdHeap) Less(i, j int) bool { return h[i].size() > h[j].size() }
func (h crowdHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *crowdHeap) Push(x any) {
	c := x.(*crowd)
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop implements heap.Interface.
func (h *crowdHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
