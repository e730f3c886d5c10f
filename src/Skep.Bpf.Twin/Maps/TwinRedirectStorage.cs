using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// Device, CPU and socket targets of XDP programs. Nothing is sent: the verdict is that of the kernel, and the key stands in
/// <see cref="TwinEnvironment.RedirectKey"/>.
/// </summary>
internal sealed unsafe class TwinRedirectStorage(BpfMap map, TwinEnvironment environment, Lock gate) : TwinMapStorage(map, environment, gate)
{
    private const ulong VerdictBits = 3, ToAll = 1 << 3, NotBack = 1 << 4;

    private readonly SortedDictionary<uint, byte[]> _targets = [];
    private readonly bool _isHash = map.Kind == MapKind.DevMapHash;
    private readonly bool _isDevices = map.Kind is MapKind.DevMap or MapKind.DevMapHash;

    /// <inheritdoc/>
    public override uint Count => (uint)_targets.Count;

    /// <inheritdoc/>
    public override int Redirect(ulong key, ulong flags)
    {
        // __bpf_xdp_redirect_map: unknown flags abort; a broadcast needs no entry.
        RequireLive();
        if ((flags & ~(VerdictBits | (_isDevices ? ToAll | NotBack : 0))) != 0)
        {
            return (int)XdpAction.Aborted;
        }

        if ((flags & ToAll) == 0 && !_targets.ContainsKey((uint)key))
        {
            return (int)(flags & VerdictBits);
        }

        Environment.RedirectKey = (flags & ToAll) != 0 ? null : (uint)key;
        return (int)XdpAction.Redirect;
    }

    /// <inheritdoc/>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    /// <inheritdoc/>
    public override int Delete(byte* key)
    {
        RequireLive();
        return !_isHash && *(uint*)key >= MaxEntries ? -Errno.Invalid
            : _targets.Remove(*(uint*)key) || !_isHash ? 0 : -Errno.NoEntry;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _targets.Clear();
        }
    }

    private protected override int ReadEntry(byte* key, byte* value)
    {
        if (!_targets.TryGetValue(*(uint*)key, out var target))
        {
            return -Errno.NoEntry;
        }

        target.CopyTo(new Span<byte>(value, ValueSize));
        return 0;
    }

    private protected override int WriteEntry(byte* key, byte* value, ulong mode)
    {
        var index = *(uint*)key;
        if (mode > (ulong)UpdateMode.Exist)
        {
            return -Errno.Invalid;
        }

        if (_isHash ? !_targets.ContainsKey(index) && _targets.Count >= MaxEntries : index >= MaxEntries)
        {
            return -Errno.TooBig;
        }

        var target = new ReadOnlySpan<byte>(value, ValueSize).ToArray();

        // The descriptor of no program is read back as the id of no program.
        if (target.Length == 8 && BitConverter.ToInt32(target, 4) < 0)
        {
            target.AsSpan(4).Clear();
        }

        _targets[index] = target;
        return 0;
    }

    private protected override int NextEntry(byte* key, byte* next)
    {
        foreach (var index in _targets.Keys)
        {
            if (key == null || index > *(uint*)key)
            {
                *(uint*)next = index;
                return 0;
            }
        }

        return -Errno.NoEntry;
    }

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }
}
