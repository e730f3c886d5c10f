using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Serialization.Metadata;
using Skep.Agent;
using Skep.Agent.Api;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Agent;

/// <summary>The real agent as a process of its own in the edge's namespace, with its own socket, state and pins; spoken to by its API.</summary>
internal sealed class LabAgent : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ChangeLimit = TimeSpan.FromSeconds(15);

    private readonly LabJournal _journal;
    private readonly LabTopology _network;
    private readonly TimeProvider _time;
    private readonly AgentPaths _paths;
    private readonly HttpClient _api;
    private LabProcess? _process;

    private LabAgent(LabJournal journal, LabTopology network, TimeProvider time)
    {
        _journal = journal;
        _network = network;
        _time = time;
        _paths = AgentPaths.For(Instance);
        _api = new HttpClient(new SocketsHttpHandler { ConnectCallback = async (_, cancellation) => await ConnectAsync(cancellation) })
        {
            BaseAddress = new Uri("http://skep"),
            Timeout = ChangeLimit,
        };
    }

    private string Instance => LabTopology.Prefix + _journal.Run;

    private string ResourceFile => Path.Combine(_journal.Folder, "resources.yaml");

    /// <summary>Resources in force.</summary>
    internal LabConfiguration Configuration { get; private set; } = new();

    internal static async Task<LabAgent> StartAsync(LabJournal journal, LabTopology network, TimeProvider time, CancellationToken cancellation)
    {
        var agent = new LabAgent(journal, network, time);
        foreach (var folder in new[] { agent._paths.Runtime, agent._paths.State, agent._paths.Pins })
        {
            journal.RecordFolder(folder);
        }

        await File.WriteAllTextAsync(agent.ResourceFile, agent.Configuration.ToYaml(network), cancellation);
        await agent.StartProcessAsync(cancellation);
        return agent;
    }

    /// <summary>Starts the process and waits until programs and resources are in force.</summary>
    internal async Task StartProcessAsync(CancellationToken cancellation)
    {
        var self = Environment.ProcessPath!;
        // Under `dotnet Skep.Cli.dll` the process is the host and the assembly its first argument.
        string[] command = Path.GetFileNameWithoutExtension(self) == "dotnet" ? [typeof(LabAgent).Assembly.Location] : [];
        var process = LabProcess.Start(
            _journal, _network.Edge, "agent", self,
            [.. command, "agent", "--instance", Instance, "--engine", "kernel", "--listen", "off", "--resources", ResourceFile]);
        _process = process;
        var ready = await Waiting.UntilAsync(
            async () => process.HasExited || await IsReadyAsync(cancellation), StartLimit, _time, cancellation);
        if (!ready || process.HasExited)
        {
            throw new LabException($"the agent is not ready: {process.Tail(15)}");
        }
    }

    /// <summary>SIGKILL, as the kernel's memory killer would.</summary>
    internal void Kill() => _process!.Kill();

    internal string Log => _process!.Tail(int.MaxValue);

    /// <summary>Writes the resource file anew and waits until the agent has it in force.</summary>
    internal async Task ConfigureAsync(LabConfiguration configuration, CancellationToken cancellation)
    {
        var before = (await StatusAsync(cancellation)).Resources.Generation;
        var draft = ResourceFile + ".new";
        await File.WriteAllTextAsync(draft, configuration.ToYaml(_network), cancellation);
        File.Move(draft, ResourceFile, overwrite: true);
        var applied = await Waiting.UntilAsync(
            async () => (await StatusAsync(cancellation)).Resources is { Current: true } now && now.Generation > before, ChangeLimit, _time, cancellation);
        if (!applied)
        {
            var problems = (await StatusAsync(cancellation)).Resources.Problems;
            throw new LabException($"the agent did not take new resources: {string.Join("; ", problems.Select(p => $"{p.Line}:{p.Column} {p.Message}").DefaultIfEmpty("no problem named"))}");
        }

        Configuration = configuration;
    }

    internal Task<StatusView> StatusAsync(CancellationToken cancellation) => GetAsync("/api/v1/status", ApiJson.Default.StatusView, cancellation);

    /// <summary>Flows that match a query of the API, for example <c>from=198.18.1.10&amp;protocol=udp</c>.</summary>
    internal async Task<IReadOnlyList<FlowView>> FlowsAsync(string query, CancellationToken cancellation) =>
        (await GetAsync("/api/v1/flows?" + query, ApiJson.Default.FlowsView, cancellation)).Flows;

    internal Task<IReadOnlyList<DropView>> DropsAsync(CancellationToken cancellation) =>
        GetAsync("/api/v1/drops", ApiJson.Default.IReadOnlyListDropView, cancellation);

    internal Task<IReadOnlyList<BackendView>> BackendsAsync(CancellationToken cancellation) =>
        GetAsync("/api/v1/backends", ApiJson.Default.IReadOnlyListBackendView, cancellation);

    /// <summary>Decisions about backends after one of that number.</summary>
    internal Task<IReadOnlyList<DecisionView>> DecisionsAsync(long after, CancellationToken cancellation) =>
        GetAsync(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/api/v1/decisions?after={after}"), ApiJson.Default.IReadOnlyListDecisionView, cancellation);

    /// <summary>Where a connection goes, and why.</summary>
    internal Task<ExplanationView> ExplainAsync(IPEndPoint client, IPEndPoint service, CancellationToken cancellation) =>
        GetAsync($"/api/v1/explain?client={client}&service={service}", ApiJson.Default.ExplanationView, cancellation);

    internal Task<IReadOnlyList<BlockView>> BlocksAsync(CancellationToken cancellation) =>
        GetAsync("/api/v1/blocks", ApiJson.Default.IReadOnlyListBlockView, cancellation);

    internal async Task BlockAsync(IPAddress address, CancellationToken cancellation)
    {
        var request = new BlockRequest { Prefix = address.ToString(), Reason = "lab", Interfaces = [.. _network.EdgeDevices] };
        using var response = await _api.PostAsJsonAsync("/api/v1/blocks", request, ApiJson.Default.BlockRequest, cancellation);
        await CheckAsync(response, cancellation);
    }

    internal async Task UnblockAsync(IPAddress address, CancellationToken cancellation)
    {
        using var response = await _api.DeleteAsync($"/api/v1/blocks?prefix={Uri.EscapeDataString(address.ToString())}", cancellation);
        await CheckAsync(response, cancellation);
    }

    /// <summary>Packets counted under a verdict of the edge program since the maps exist.</summary>
    internal async Task<long> PacketsAsync(string verdict, CancellationToken cancellation) =>
        (long)((await StatusAsync(cancellation)).Verdicts.FirstOrDefault(v => v.Name == verdict)?.Packets ?? 0);

    private async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellation) =>
        await _api.GetFromJsonAsync(path, type, cancellation) ?? throw new LabException($"the agent answered nothing to {path}");

    private async Task<bool> IsReadyAsync(CancellationToken cancellation)
    {
        try
        {
            using var response = await _api.GetAsync("/readyz", cancellation);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false; // Not listening yet.
        }
    }

    private static async Task CheckAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        if (!response.IsSuccessStatusCode)
        {
            throw new LabException($"the agent refused: {await response.Content.ReadAsStringAsync(cancellation)}");
        }
    }

    private async Task<Stream> ConnectAsync(CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_paths.Socket), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        _process?.Dispose();
        _api.Dispose();
        return ValueTask.CompletedTask;
    }
}
