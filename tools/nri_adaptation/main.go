// Command adaptation is the peer of a test: NRI's own adaptation, driven line by line, so that the embedded runtime can be compared with it.
//
//	adaptation SOCKET NAME VERSION TIMEOUT     TIMEOUT: of a request, as Go writes durations
//
// Each line on stdin is METHOD BASE64, with a protobuf request; each line on stdout is "ok BASE64" or "error BASE64" (the error's text).
// Beside the methods of the Plugin service there are STATE (a SynchronizeRequest: what the next plugin is synchronized with), ASKED (an
// UpdateContainersRequest: all updates that plugins have answered to Synchronize or sent unasked) and COUNT (plugins that get events, in
// decimal).
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	nri "github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

type runtime struct {
	sync.Mutex
	adaptation *nri.Adaptation
	state      api.SynchronizeRequest
	asked      api.UpdateContainersRequest
	count      int
}

func (r *runtime) synchronize(ctx context.Context, ask nri.SyncCB) error {
	r.Lock()
	pods, containers := r.state.Pods, r.state.Containers
	r.Unlock()
	updates, err := ask(ctx, pods, containers)
	r.Lock()
	defer r.Unlock()
	r.asked.Update = append(r.asked.Update, updates...)
	return err
}

func (r *runtime) update(_ context.Context, updates []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	r.Lock()
	defer r.Unlock()
	r.asked.Update = append(r.asked.Update, updates...)
	return nil, nil
}

// Of the metrics only the number of plugins is wanted.

func (r *runtime) RecordPluginInvocation(string, string, error)                               {}
func (r *runtime) RecordPluginLatency(string, string, time.Duration)                          {}
func (r *runtime) RecordPluginAdjustments(string, string, *api.ContainerAdjustment, int, int) {}

func (r *runtime) UpdatePluginCount(count int) {
	r.Lock()
	defer r.Unlock()
	r.count = count
}

// request decodes a request and hands it to one method of the adaptation.
func request[Q proto.Message](payload []byte, message Q, call func(context.Context, Q) (proto.Message, error)) (proto.Message, error) {
	if err := proto.Unmarshal(payload, message); err != nil {
		return nil, err
	}
	return call(context.Background(), message)
}

// silent is a method whose response is empty.
func silent[Q proto.Message](call func(context.Context, Q) error) func(context.Context, Q) (proto.Message, error) {
	return func(ctx context.Context, message Q) (proto.Message, error) {
		return &api.Empty{}, call(ctx, message)
	}
}

// spoken is a method with a response.
func spoken[Q, R proto.Message](call func(context.Context, Q) (R, error)) func(context.Context, Q) (proto.Message, error) {
	return func(ctx context.Context, message Q) (proto.Message, error) {
		return call(ctx, message)
	}
}

func (r *runtime) do(method string, payload []byte) (proto.Message, error) {
	a := r.adaptation
	switch method {
	case "STATE":
		r.Lock()
		defer r.Unlock()
		return &api.Empty{}, proto.Unmarshal(payload, &r.state)
	case "ASKED":
		r.Lock()
		defer r.Unlock()
		return proto.Clone(&r.asked), nil
	case "RunPodSandbox":
		return request(payload, &api.RunPodSandboxRequest{}, silent(a.RunPodSandbox))
	case "UpdatePodSandbox":
		return request(payload, &api.UpdatePodSandboxRequest{}, spoken(a.UpdatePodSandbox))
	case "PostUpdatePodSandbox":
		return request(payload, &api.PostUpdatePodSandboxRequest{}, silent(a.PostUpdatePodSandbox))
	case "StopPodSandbox":
		return request(payload, &api.StopPodSandboxRequest{}, silent(a.StopPodSandbox))
	case "RemovePodSandbox":
		return request(payload, &api.RemovePodSandboxRequest{}, silent(a.RemovePodSandbox))
	case "CreateContainer":
		return request(payload, &api.CreateContainerRequest{}, spoken(a.CreateContainer))
	case "PostCreateContainer":
		return request(payload, &api.PostCreateContainerRequest{}, silent(a.PostCreateContainer))
	case "StartContainer":
		return request(payload, &api.StartContainerRequest{}, silent(a.StartContainer))
	case "PostStartContainer":
		return request(payload, &api.PostStartContainerRequest{}, silent(a.PostStartContainer))
	case "UpdateContainer":
		return request(payload, &api.UpdateContainerRequest{}, spoken(a.UpdateContainer))
	case "PostUpdateContainer":
		return request(payload, &api.PostUpdateContainerRequest{}, silent(a.PostUpdateContainer))
	case "StopContainer":
		return request(payload, &api.StopContainerRequest{}, spoken(a.StopContainer))
	case "RemoveContainer":
		return request(payload, &api.RemoveContainerRequest{}, silent(a.RemoveContainer))
	}
	return nil, fmt.Errorf("no method %q", method)
}

func (r *runtime) answer(method string, payload []byte) (string, []byte) {
	if method == "COUNT" {
		r.Lock()
		defer r.Unlock()
		return "ok", []byte(strconv.Itoa(r.count))
	}
	response, err := r.do(method, payload)
	if err != nil {
		return "error", []byte(err.Error())
	}
	data, err := proto.Marshal(response)
	if err != nil {
		return "error", []byte(err.Error())
	}
	return "ok", data
}

func run(socket, name, version, timeout string) error {
	limit, err := time.ParseDuration(timeout)
	if err != nil {
		return err
	}
	nri.SetPluginRequestTimeout(limit)
	r := &runtime{}
	r.adaptation, err = nri.New(name, version, r.synchronize, r.update,
		nri.WithSocketPath(socket), nri.WithPluginPath(socket+".plugins"), nri.WithPluginConfigPath(socket+".conf"), nri.WithMetrics(r))
	if err != nil {
		return err
	}
	if err := r.adaptation.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil // the test has closed it
		}
		method, encoded, _ := strings.Cut(strings.TrimSpace(line), " ")
		payload, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return err
		}
		outcome, data := r.answer(method, payload)
		fmt.Println(outcome, base64.StdEncoding.EncodeToString(data))
	}
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: adaptation SOCKET NAME VERSION TIMEOUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "adaptation:", err)
		os.Exit(1)
	}
}
