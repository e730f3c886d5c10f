using Skep.Bpf.Maps;

namespace Skep.KernelTests.Surroundings;

/// <summary>Gives maps storage in the kernel and takes it away in the end.</summary>
internal sealed class KernelStorage : IDisposable
{
    private readonly IReadOnlyList<BpfMap> _maps;

    public KernelStorage(IReadOnlyList<BpfMap> maps)
    {
        _maps = maps;
        foreach (var map in maps)
        {
            map.Bind(KernelMapStorage.Create(map));
        }
    }

    public void Dispose()
    {
        foreach (var map in _maps)
        {
            map.Dispose();
        }
    }
}
