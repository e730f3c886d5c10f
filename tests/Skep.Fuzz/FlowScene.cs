using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Flows;

namespace Skep.Fuzz;

/// <summary>The flow programs of both hooks over the same maps.</summary>
public sealed class FlowScene : IDisposable
{
    private FlowScene()
    {
        Maps = new FlowMaps(maxFlows: 1 << 19, eventBytes: 1 << 22);
        Programs = [new FlowProgram(Maps, FlowHook.Ingress), new FlowProgram(Maps, FlowHook.Egress)];
    }

    /// <summary>Their maps.</summary>
    public FlowMaps Maps { get; }

    /// <summary>Ingress, then egress.</summary>
    public IReadOnlyList<BpfProgram> Programs { get; }

    /// <summary>Makes the scene; <paramref name="bind"/> gives each map storage.</summary>
    public static FlowScene Create(Action<BpfMap> bind)
    {
        ArgumentNullException.ThrowIfNull(bind);
        var scene = new FlowScene();
        foreach (var map in scene.Maps.All)
        {
            bind(map);
        }

        return scene;
    }

    /// <summary>Disposes of the maps.</summary>
    public void Dispose()
    {
        foreach (var map in Maps.All)
        {
            map.Dispose();
        }
    }
}
