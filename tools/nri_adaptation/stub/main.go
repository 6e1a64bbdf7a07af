// A plugin on NRI's own stub: the peer that `koordnri conformance` must find nothing wrong with. It handles all events, and adds a variable.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

type plugin struct{}

func (plugin) RunPodSandbox(context.Context, *api.PodSandbox) error    { return nil }
func (plugin) StopPodSandbox(context.Context, *api.PodSandbox) error   { return nil }
func (plugin) RemovePodSandbox(context.Context, *api.PodSandbox) error { return nil }

func (plugin) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	adjust := &api.ContainerAdjustment{}
	adjust.AddEnv("CONFORMANCE", "yes")
	return adjust, nil, nil
}

func (plugin) StartContainer(context.Context, *api.PodSandbox, *api.Container) error { return nil }

func (plugin) UpdateContainer(context.Context, *api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error) {
	return nil, nil
}

func (plugin) StopContainer(context.Context, *api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) {
	return nil, nil
}

func (plugin) RemoveContainer(context.Context, *api.PodSandbox, *api.Container) error { return nil }

func main() {
	path := flag.String("socket", "", "the runtime's socket; without it, this was launched by a runtime")
	flag.Parse()
	var options []stub.Option
	if *path != "" {
		options = append(options, stub.WithSocketPath(*path), stub.WithPluginName("stub"), stub.WithPluginIdx("10"))
	}
	made, err := stub.New(plugin{}, options...)
	if err == nil {
		err = made.Run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
