using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;

namespace Skep.Benchmarks.Balancing;

/// <summary>Services at traffic control in a namespace, with weights that a controller moves as the agent's does.</summary>
internal sealed class AdaptiveBalancer : IDisposable
{
    private readonly List<IDisposable> _attached = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _steps;

    /// <summary>Attaches the programs to all devices of a namespace and starts to step.</summary>
    internal AdaptiveBalancer(string middle, params ServiceModel[] services)
    {
        var options = new EdgeOptions { BlockAddresses = false, BlockPrefixes = false };
        var maps = new EdgeMaps(options);
        foreach (var map in maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
            _attached.Insert(0, map);
        }

        var balancer = new Balancer(maps.Balancing);
        balancer.Apply(services);
        var edge = ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(maps, options), KernelTarget.Running));
        _attached.Insert(0, edge);
        foreach (var device in NamespaceNetwork.Inside(middle, NetworkDevice.List).Where(d => !d.IsLoopback))
        {
            _attached.Insert(0, NamespaceNetwork.Inside(middle, () => TcxLink.Attach(edge, device.Index, TcDirection.Ingress)));
        }

        _steps = StepAsync(balancer, [.. services.Where(s => s.Policy.IsDynamic)], _stop.Token);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _steps.GetAwaiter().GetResult();
        _attached.ForEach(a => a.Dispose());
        _stop.Dispose();
    }

    private static async Task StepAsync(Balancer balancer, ServiceModel[] services, CancellationToken stop)
    {
        var controllers = services.Select(_ => new ServiceController()).ToArray();
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(WeightLaw.Period));
        var started = TimeProvider.System.GetTimestamp();
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                for (var i = 0; i < services.Length; i++)
                {
                    var key = services[i].Key;
                    var (model, _) = controllers[i].Step(
                        TimeProvider.System.GetElapsedTime(started), services[i], b => balancer.TryGetId(key, b.Address, b.Port, out var id) ? balancer.ReadingOf(id) : default);
                    balancer.Update(model);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The measurement is over.
        }
    }
}
