package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"onhand/loadtest"
)

// loader measures what a request costs the load test, beside a client as one would write it with fasthttp: 64 goroutines that
// each send a request and wait for its answer. Both run in processes of their own, in a closed load on the same server.
func (r *Report) loader(c Config, dir string) error {
	shop, err := startShop(c.Program, dir)
	if err != nil {
		return err
	}
	defer shop.stop()
	var ours, deep, theirs, ratios, deepRatios, rates, deepRates []float64
	for i := range c.Rounds + 1 {
		own, rate, err := loadtestCost(c, shop.address, filepath.Join(dir, "report"), 1)
		if err != nil {
			return err
		}
		pipelined, deepRate, err := loadtestCost(c, shop.address, filepath.Join(dir, "report"), loaderPipeline)
		if err != nil {
			return err
		}
		out, err := runStep(c.Program, "client", shop.address)
		if err != nil {
			return err
		}
		step, err := readStep(out)
		if err != nil {
			return err
		}
		other := step.Took.Seconds() / float64(step.Records) * 1e6
		if i > 0 {
			ours, theirs, ratios, rates = append(ours, own), append(theirs, other), append(ratios, other/own), append(rates, rate)
			deep, deepRatios, deepRates = append(deep, pipelined), append(deepRatios, other/pipelined), append(deepRates, deepRate)
		}
	}
	r.note("loadtest: closed load of reads", spreadOf(rates), "requests/s")
	r.note("loadtest: processor time of its own", spreadOf(ours), "s per million")
	r.note("a client with fasthttp: processor time of its own", spreadOf(theirs), "s per million")
	r.note(fmt.Sprintf("loadtest --pipeline %d: closed load of reads", loaderPipeline), spreadOf(deepRates), "requests/s")
	r.note(fmt.Sprintf("loadtest --pipeline %d: processor time of its own", loaderPipeline), spreadOf(deep), "s per million")
	r.atLeast("loadtest: requests per processor second ÷ that client", spreadOf(ratios), 2, "×")
	r.atLeast(fmt.Sprintf("loadtest --pipeline %d: requests per processor second ÷ that client", loaderPipeline), spreadOf(deepRatios), 2, "×")
	return nil
}

// loaderPipeline is how many requests are sent one behind the other where the load is to cost little.
const loaderPipeline = 8

// loadtestCost returns the loader's processor seconds per million requests, and the requests a second.
func loadtestCost(c Config, address, report string, pipeline int) (cost, rate float64, err error) {
	run := exec.Command(c.Program, "loadtest", "read", "--closed", "--to", "http://"+address, "--metrics=", "--connections", fmt.Sprint(c.Connections), "--pipeline", fmt.Sprint(pipeline),
		"--duration", c.Round.String(), "--warmup", "0s", "--out", report)
	if out, err := output(run, syscall.SIGKILL); err != nil {
		return 0, 0, fmt.Errorf("loadtest: %w: %s", err, out)
	}
	result, err := loadtest.ReadResult(filepath.Join(report, "run.json"))
	if err != nil {
		return 0, 0, err
	}
	return result.LoaderPerMio, result.Total.Rate, nil
}

// clientTime is how long the client with fasthttp runs.
const clientTime = 3 * time.Second

// stepClient is the client with fasthttp. Took is the processor time that it used.
func stepClient(address string) (s StepResult, err error) {
	const callers = 64
	client := &fasthttp.HostClient{Addr: address, MaxConns: callers}
	var wg sync.WaitGroup
	counts, errs := make([]uint64, callers), make([]error, callers)
	before, err := ownTime()
	if err != nil {
		return s, err
	}
	begun := time.Now()
	for i := range callers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(request)
			defer fasthttp.ReleaseResponse(response)
			for time.Since(begun) < clientTime {
				cell := anyCell(r)
				request.SetRequestURI("http://" + address + "/v1/availability/" + skuName(cell.sku) + "/" + locationName(cell.location))
				if errs[i] = client.Do(request, response); errs[i] != nil {
					return
				}
				if response.StatusCode() != fasthttp.StatusOK {
					errs[i] = fmt.Errorf("answered %d", response.StatusCode())
					return
				}
				counts[i]++
			}
		})
	}
	wg.Wait()
	after, err := ownTime()
	s.Took = after - before
	for _, n := range counts {
		s.Records += n
	}
	return s, errors.Join(append(errs, err)...)
}

// ownTime returns the processor time of this process, user and system.
func ownTime() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}
