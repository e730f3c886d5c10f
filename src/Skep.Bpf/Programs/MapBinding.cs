using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programs;

/// <summary>
/// Gives maps their storage for one load: what they have, what is pinned, or something new. Unless committed, it takes back what it made.
/// </summary>
internal sealed class MapBinding(LoadOptions options) : IDisposable
{
    private readonly List<BpfMap> _bound = [];
    private readonly List<string> _pinned = [];
    private readonly Dictionary<string, BpfMap> _paths = [];
    private bool _committed;

    internal void Bind(BpfMap map)
    {
        var path = PinPath(map);
        if (path is not null && !_paths.TryAdd(path, map))
        {
            throw new InvalidOperationException($"Two maps named '{map.Name}' would share the pin {path}; give them different names.");
        }

        if (!map.IsBound)
        {
            var adopted = path is not null ? OpenPinned(path, map) : null;
            map.Bind(adopted ?? KernelMapStorage.Create(map, options.Token));
            _bound.Add(map);
            if (adopted is null && map is UntypedMap { IsConstant: true } data)
            {
                Fill(data);
            }
        }
        else if (map.Storage is not KernelMapStorage)
        {
            throw new InvalidOperationException($"Map '{map.Name}' lives in the process, under a twin: a program in the kernel cannot use it.");
        }

        if (path is not null)
        {
            Pin((KernelMapStorage)map.Storage, map, path);
        }
    }

    internal void Commit() => _committed = true;

    /// <summary>Closes the constants that this load created: the program keeps them alive, and nobody else needs them.</summary>
    internal void ReleaseConstants()
    {
        foreach (var map in _bound)
        {
            if (map is UntypedMap { IsConstant: true })
            {
                map.Dispose();
            }
        }
    }

    public void Dispose()
    {
        if (_committed)
        {
            return;
        }

        _bound.ForEach(map => map.Dispose());
        _pinned.ForEach(File.Delete);
    }

    private void Pin(KernelMapStorage storage, BpfMap map, string path)
    {
        var status = BpfSyscall.ObjPin(storage.Handle, path);
        if (status == 0)
        {
            _pinned.Add(path);
            return;
        }

        if (status != -Errno.Exists)
        {
            throw new BpfException($"Pinning map '{map.Name}' at {path} failed; the directory must lie in a bpffs", status);
        }

        using var there = KernelMapStorage.OpenPinned(path, map);
        if (there.Id != storage.Id)
        {
            throw new BpfException($"Map '{map.Name}' has storage already, and another map is pinned at {path}", Errno.Exists);
        }
    }

    /// <summary>Constants get their values and are then frozen, so that the verifier may rely on them.</summary>
    private static void Fill(UntypedMap map)
    {
        var storage = (KernelMapStorage)map.Storage;
        BpfException.ThrowIfFailed(storage.Write(BitConverter.GetBytes(0), map.InitialValue.Span, 0), $"Filling map '{map.Name}' failed");
        storage.Freeze();
    }

    private static KernelMapStorage? OpenPinned(string path, BpfMap map) => File.Exists(path) ? KernelMapStorage.OpenPinned(path, map) : null;

    private string? PinPath(BpfMap map)
    {
        if (options.PinDirectory is not { } directory || map is UntypedMap { IsConstant: true } || (options.PinMap is { } choose && !choose(map)))
        {
            return null;
        }

        return map.Name.Length > 0
            ? Path.Combine(directory, PinName.For(map.Name))
            : throw new InvalidOperationException("A map needs a name to be pinned.");
    }
}
