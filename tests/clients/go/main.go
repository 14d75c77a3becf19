// Command client is client-go with the table's actions: it reads their names on stdin and answers each with a line of JSON.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	exit "k8s.io/client-go/util/exec"
)

type object = map[string]any

var (
	space  = os.Getenv("CONFORMANCE_SPACE")
	many   = os.Getenv("CONFORMANCE_MANY")
	pod    = os.Getenv("CONFORMANCE_POD")
	client = os.Getenv("CONFORMANCE_CLIENT")
	config *rest.Config
	api    *kubernetes.Clientset
	ctx    = context.Background()
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// refusal returns what the API server says against a call.
func refusal(err error) object {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		panic(fmt.Sprintf("no Status: %v", err))
	}
	said := status.Status()
	return object{"status": said.Code, "reason": said.Reason, "message": said.Message}
}

func digest(lines []string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

func configMap(name string) *corev1.ConfigMap {
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"by": name}}
	return &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"a": "1"}}
}

func create(name string) *corev1.ConfigMap {
	return must(api.CoreV1().ConfigMaps(space).Create(ctx, configMap(name), metav1.CreateOptions{}))
}

func patched(name string, kind types.PatchType, body string, options metav1.PatchOptions) (*corev1.ConfigMap, error) {
	return api.CoreV1().ConfigMaps(space).Patch(ctx, name, kind, []byte(body), options)
}

func get() object {
	found := must(api.CoreV1().Pods("default").Get(ctx, "bash-0", metav1.GetOptions{}))
	version := must(api.Discovery().ServerVersion())
	return object{"name": found.Name, "uid": found.UID, "spec": found.Spec, "version": version}
}

func missing() object {
	_, err := api.CoreV1().Pods("default").Get(ctx, "nope", metav1.GetOptions{})
	return refusal(err)
}

func list() object {
	names := func(items []corev1.ConfigMap) (found []string) {
		for _, one := range items {
			found = append(found, one.Name+" "+one.ResourceVersion)
		}
		return
	}
	whole := names(must(api.CoreV1().ConfigMaps(many).List(ctx, metav1.ListOptions{})).Items)
	var paged []string
	pages, more := 0, ""
	for pages == 0 || more != "" {
		page := must(api.CoreV1().ConfigMaps(many).List(ctx, metav1.ListOptions{Limit: 500, Continue: more}))
		paged, more, pages = append(paged, names(page.Items)...), page.Continue, pages+1
	}
	return object{"count": len(whole), "pages": pages, "whole": digest(whole), "paged": digest(paged)}
}

func watch() object {
	name := client + "-watch"
	create(name)
	watching := must(api.CoreV1().ConfigMaps(space).Watch(ctx, metav1.ListOptions{LabelSelector: "by=" + name}))
	defer watching.Stop()
	events := [][]any{}
	for event := range watching.ResultChan() {
		events = append(events, []any{event.Type, event.Object.(*corev1.ConfigMap).Data})
		switch len(events) {
		case 1:
			must(patched(name, types.MergePatchType, `{"data":{"a":"2"}}`, metav1.PatchOptions{}))
		case 2:
			must(0, api.CoreV1().ConfigMaps(space).Delete(ctx, name, metav1.DeleteOptions{}))
		default:
			return object{"events": events}
		}
	}
	return object{"events": events, "ended": true}
}

func apply() object {
	name := client + "-apply"
	applied := func(manager, value string, force bool) (*corev1.ConfigMap, error) {
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"a":%q}}`, name, value)
		return patched(name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: manager, Force: &force})
	}
	first := must(applied("one", "1", false))
	_, err := applied("two", "2", false)
	last := must(applied("two", "2", true))
	managers := []string{}
	for _, one := range last.ManagedFields {
		managers = append(managers, one.Manager)
	}
	return object{"first": first.Data, "conflict": refusal(err), "last": last.Data, "managers": managers}
}

func patch() object {
	name := client + "-patch"
	created := create(name)
	none := metav1.PatchOptions{}
	outcome := object{
		"strategic": must(patched(name, types.StrategicMergePatchType, `{"data":{"b":"2"}}`, none)).Data,
		"merge":     must(patched(name, types.MergePatchType, `{"data":{"c":"3","a":null}}`, none)).Data,
		"json":      must(patched(name, types.JSONPatchType, `[{"op":"add","path":"/data/d","value":"4"}]`, none)).Data,
	}
	_, err := patched(name, types.JSONPatchType, `[{"op":"test","path":"/data/d","value":"5"}]`, none)
	outcome["refused"] = refusal(err)
	_, err = api.CoreV1().ConfigMaps(space).Update(ctx, created, metav1.UpdateOptions{})
	outcome["stale"] = refusal(err)
	return outcome
}

func remove() object {
	name := client + "-delete"
	create(name)
	must(0, api.CoreV1().ConfigMaps(space).Delete(ctx, name, metav1.DeleteOptions{}))
	return object{"again": refusal(api.CoreV1().ConfigMaps(space).Delete(ctx, name, metav1.DeleteOptions{}))}
}

func scale() object {
	deployments := api.AppsV1().Deployments(space)
	to := func(replicas int32) int32 {
		found := must(deployments.GetScale(ctx, "d", metav1.GetOptions{}))
		found.ResourceVersion, found.Spec.Replicas = "", replicas
		return must(deployments.UpdateScale(ctx, "d", found, metav1.UpdateOptions{})).Spec.Replicas
	}
	asked := to(2)
	found := must(deployments.Get(ctx, "d", metav1.GetOptions{})).Spec.Replicas
	to(1)
	return object{"asked": asked, "found": found}
}

func rollout() object {
	deployments := api.AppsV1().Deployments(space)
	body := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"by":%q}}}}}`, client)
	asked := must(deployments.Patch(ctx, "r", types.MergePatchType, []byte(body), metav1.PatchOptions{})).Generation
	for {
		found := must(deployments.Get(ctx, "r", metav1.GetOptions{}))
		now := found.Status
		if now.ObservedGeneration >= asked && now.Replicas == 1 && now.UpdatedReplicas == 1 && now.AvailableReplicas == 1 {
			return object{"counts": []int32{now.Replicas, now.UpdatedReplicas, now.AvailableReplicas}}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func logs() object {
	read := func(options corev1.PodLogOptions) ([]byte, error) {
		return api.CoreV1().Pods(space).GetLogs(pod, &options).DoRaw(ctx)
	}
	text := must(read(corev1.PodLogOptions{}))
	_, previous := read(corev1.PodLogOptions{Previous: true})
	_, none := read(corev1.PodLogOptions{Container: "none"})
	return object{"text": string(text), "refused": refusal(previous), "none": refusal(none)}
}

// stream runs exec or attach: first by WebSocket, then by SPDY, as kubectl does.
func stream(name, verb string, options remotecommand.StreamOptions, command []string) (int, error) {
	request := api.CoreV1().RESTClient().Post().Resource("pods").Name(name).Namespace(space).SubResource(verb)
	on := func(there bool) bool { return there }
	if verb == "exec" {
		request.VersionedParams(&corev1.PodExecOptions{
			Command: command, Stdin: on(options.Stdin != nil), Stdout: on(options.Stdout != nil),
			Stderr: on(options.Stderr != nil), TTY: options.Tty,
		}, scheme.ParameterCodec)
	} else {
		request.VersionedParams(&corev1.PodAttachOptions{Stdin: true, Stdout: true}, scheme.ParameterCodec)
	}
	socket := must(remotecommand.NewWebSocketExecutor(config, "GET", request.URL().String()))
	err := socket.StreamWithContext(ctx, options)
	var ended exit.CodeExitError
	if errors.As(err, &ended) {
		return ended.Code, nil
	}
	return 0, err
}

func attach() object {
	name := client + "-attach"
	command := []string{"sh", "-c", "echo begun; while read line; do echo got $line; done; echo over"}
	container := corev1.Container{
		Name: "main", Image: "docker.io/lab/busybox:1", ImagePullPolicy: corev1.PullNever, Stdin: true, StdinOnce: true,
		Command: command,
	}
	now := int64(0)
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &now, Containers: []corev1.Container{container},
	}
	made := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	pods := api.CoreV1().Pods(space)
	must(pods.Create(ctx, made, metav1.CreateOptions{}))
	for must(pods.Get(ctx, name, metav1.GetOptions{})).Status.Phase != corev1.PodRunning {
		time.Sleep(100 * time.Millisecond)
	}
	log := must(pods.GetLogs(name, &corev1.PodLogOptions{Follow: true}).Stream(ctx))
	var output bytes.Buffer
	must(stream(name, "attach", remotecommand.StreamOptions{Stdin: strings.NewReader("one\n"), Stdout: &output}, nil))
	line, _, _ := strings.Cut(output.String(), "\n")
	return object{"attached": line, "followed": string(must(io.ReadAll(log)))}
}

func run(command []string, given string, stdout, stderr, tty bool) []any {
	var out, errs bytes.Buffer
	options := remotecommand.StreamOptions{Tty: tty}
	if stdout {
		options.Stdout = &out
	}
	if stderr {
		options.Stderr = &errs
	}
	if given != "" {
		options.Stdin = strings.NewReader(given)
	}
	if tty { // a terminal's kubelet loses output at a half-close, straight at the API server, too
		reader, writer := io.Pipe()
		go writer.Write([]byte(given))
		options.Stdin = reader
	}
	code := must(stream(pod, "exec", options, command))
	return []any{out.String(), errs.String(), code}
}

func script(code int) []string {
	return []string{"sh", "-c", fmt.Sprintf("echo out; echo err >&2; exit %d", code)}
}

func execute() object {
	input := []string{"sh", "-c", "head -n1; echo out; echo err >&2; exit 3"}
	terminal := []string{"sh", "-c", "read line; test -t 0 && test -t 1 && echo terminal; exit 3"}
	streams := object{
		"stdout": run(script(3), "", true, false, false), "stderr": run(script(3), "", false, true, false),
		"stdout+stderr": run(script(3), "", true, true, false), "stdin+stdout": run(input, "given\n", true, false, false),
		"stdin+stderr": run(input, "given\n", false, true, false), "stdin+stdout+stderr": run(input, "given\n", true, true, false),
		"terminal": run(terminal, "given\n", true, false, true),
	}
	codes := object{}
	for _, code := range []int{0, 1, 3, 126, 127, 137, 255} {
		codes[fmt.Sprint(code)] = run(script(code), "", true, true, false)[2]
	}
	_, err := stream("nope", "exec", remotecommand.StreamOptions{Stdout: io.Discard}, []string{"true"})
	killed := run([]string{"sh", "-c", "kill -9 $$"}, "", true, true, false)
	return object{"streams": streams, "codes": codes, "killed": killed, "none": err.Error()}
}

func bulk() object {
	size := 1 << 20
	if wanted := os.Getenv("CONFORMANCE_MIB"); wanted != "" {
		size *= must(strconv.Atoi(wanted))
	}
	there := run([]string{"sh", "-c", "md5sum"}, strings.Repeat("0123456789abcdef", size/16), true, true, false)
	back := run([]string{"sh", "-c", fmt.Sprintf("yes | head -c %d", size)}, "", true, true, false)
	text := back[0].(string)
	return object{"there": there, "back": []any{len(text), digest(strings.Split(text, "\n")), back[2]}}
}

func forward() object {
	url := api.CoreV1().RESTClient().Post().Resource("pods").Name(pod).Namespace(space).SubResource("portforward").URL()
	dialer := must(portforward.NewSPDYOverWebsocketDialer(url, config))
	stop, ready := make(chan struct{}), make(chan struct{})
	var errs bytes.Buffer
	forwarder := must(portforward.New(dialer, []string{"0:8080", "0:1"}, stop, ready, io.Discard, &errs))
	failed := make(chan error, 1)
	go func() { failed <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-failed:
		panic(err)
	}
	ports := must(forwarder.GetPorts())
	answers := make([][]string, 20)
	var all sync.WaitGroup
	for at := range answers {
		all.Add(1)
		go func() {
			defer all.Done()
			transport := &http.Transport{DisableKeepAlives: true}
			answer, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("http://127.0.0.1:%d/f", ports[0].Local))
			if err != nil {
				answers[at] = []string{err.Error()}
				return
			}
			body, _ := io.ReadAll(answer.Body)
			answers[at] = []string{fmt.Sprint(answer.StatusCode), strings.TrimSpace(string(body))}
		}()
	}
	all.Wait()
	closed := must(net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1].Local)))
	rest, _ := io.ReadAll(closed)
	close(stop)
	return object{"answers": answers, "closed": string(rest)}
}

func top() object {
	var status int
	body, _ := api.RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/pods").Do(ctx).StatusCode(&status).Raw()
	return object{"status": status, "body": string(body)}
}

// outcome runs an action; what it could not do is its outcome, too.
func outcome(action func() object) (found object) {
	defer func() {
		if failed := recover(); failed != nil {
			found = object{"failed": fmt.Sprint(failed)}
		}
	}()
	return action()
}

func main() {
	config = must(clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")))
	api = must(kubernetes.NewForConfig(config))
	actions := map[string]func() object{
		"get": get, "missing": missing, "list": list, "watch": watch, "apply": apply, "patch": patch, "delete": remove,
		"scale": scale, "rollout": rollout, "logs": logs, "attach": attach, "exec": execute, "bulk": bulk,
		"port-forward": forward, "top": top,
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(string(must(json.Marshal(outcome(actions[lines.Text()])))))
	}
}
