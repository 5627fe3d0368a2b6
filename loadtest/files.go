package loadtest

import (
	"bytes"
	"encoding/json"
)

// File is a part of a report.
type File struct {
	Name string
	Text []byte
}

// Files returns the report of a run, with a comparison to an earlier one if there is one.
func (r *Result) Files(earlier *Result) ([]File, error) {
	run, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	hgrm, err := r.Hgrm()
	if err != nil {
		return nil, err
	}
	var summary bytes.Buffer
	if err := r.WriteSummary(&summary); err != nil {
		return nil, err
	}
	if earlier != nil {
		if err := WriteComparison(&summary, earlier, r); err != nil {
			return nil, err
		}
	}
	page, err := r.HTML(earlier)
	if err != nil {
		return nil, err
	}
	return []File{{"run.json", append(run, '\n')}, {"latency.hgrm", hgrm}, {"summary.txt", summary.Bytes()}, {"report.html", page}}, nil
}
