// Package prefetch tells the processor which memory will be needed soon, so that it is fetched while other work goes on.
// A cache miss takes 150 to 200 ns on the machines we measured, as long as all the arithmetic of a reservation's line;
// where several lines are worked on in turn, their misses can be waited for together.
package prefetch
