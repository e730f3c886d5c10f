using Microsoft.Extensions.Logging;
using Skep.Agent.Api;
using Skep.Agent.Metrics;
using Skep.Bpf.Programming;
using Skep.Engine;
namespace Skep.Agent;
internal sealed class FlowControl(IDatapath datapath, TimeProvider clock, TimeProvider wall, ILogger logger) : IDisposable
{
    public int Count => 0;
    public void Open() { _ = datapath; _ = clock; _ = wall; _ = logger; }
    public void Tick() { }
    public Task RunAsync(CancellationToken c) => Task.Delay(-1, c);
    public void AddHooks(Dictionary<Hook, BpfProgram> wanted, HostInterface found) { }
    public void AddEvents(Dictionary<Hook, BpfProgram> wanted) { }
    public FlowsView View(FlowFilter f, DateTimeOffset now) => new(now, 0, []);
    public IReadOnlyList<DropView> Drops() => [];
    public IReadOnlyList<CounterView> LostEvents() => [];
    public void WriteMetrics(MetricsWriter w) { }
    public void Dispose() { }
}
