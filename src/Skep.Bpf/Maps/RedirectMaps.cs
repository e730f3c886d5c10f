using System.Runtime.InteropServices;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Maps;

/// <summary>
/// Targets an XDP program may send a packet to. An entry is there or not; <see cref="Redirect"/> to one that is not gives the other verdict.
/// </summary>
/// <typeparam name="TValue">The target as the kernel takes and shows it.</typeparam>
public abstract class RedirectMap<TValue> : BpfMap
    where TValue : unmanaged
{
    private const ulong ToAll = 1 << 3, NotBack = 1 << 4;

    private protected RedirectMap(MapKind kind, uint maxEntries, string? name)
        : base(kind, sizeof(uint), SizeOf<TValue>(), maxEntries, MapFlags.None, name)
    {
    }

    /// <inheritdoc/>
    public sealed override Type KeyType => typeof(uint);

    /// <inheritdoc/>
    public sealed override Type ValueType => typeof(TValue);

    /// <summary>Program side: sends the packet to the target under <paramref name="key"/> when the program returns what this gives.</summary>
    /// <returns><see cref="XdpAction.Redirect"/>, or <paramref name="otherwise"/> when there is no such target (kernel 5.6).</returns>
    public XdpAction Redirect(uint key, XdpAction otherwise = XdpAction.Aborted) => (XdpAction)RedirectTo(key, (ulong)otherwise);

    /// <summary>Program side: the helper itself (<c>bpf_redirect_map</c>): the low two bits of the flags are the verdict when there is no such target.</summary>
    [KernelHelper(51)]
    public int RedirectTo(uint key, ulong flags) => Storage.Redirect(key, flags);

    /// <summary>Program side, device maps: a copy to every target (<c>BPF_F_BROADCAST</c>, kernel 5.14).</summary>
    private protected XdpAction RedirectToAll(bool exceptIngress) => (XdpAction)RedirectTo(0, exceptIngress ? ToAll | NotBack : ToAll);

    /// <summary>User side: takes the target away; nothing happens when there is none.</summary>
    /// <exception cref="BpfException">EINVAL or E2BIG: the key is not below the entries.</exception>
    public void Remove(uint key)
    {
        var status = Storage.Remove(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in key)));
        if (status is not 0 and not -Errno.NoEntry)
        {
            throw BpfException.ForMap(this, "delete", status);
        }
    }

    private protected void Put(uint key, in TValue value)
    {
        var status = Storage.Write(
            MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in key)), MemoryMarshal.AsBytes(new ReadOnlySpan<TValue>(in value)), (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, "update", status);
        }
    }

    private protected bool TryLook(uint key, out TValue value)
    {
        value = default;
        var status = Storage.Read(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in key)), MemoryMarshal.AsBytes(new Span<TValue>(ref value)));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "lookup", status),
        };
    }
}

/// <summary>
/// An interface to send to, and the program that sees the packet just before (<c>struct bpf_devmap_val</c>, kernel 5.8).
/// <code>
/// 0 ifindex:4   4 program: descriptor when written, id when read:4
/// </code>
/// </summary>
/// <param name="Interface">Index of the interface.</param>
/// <param name="Program">When read: id of the program of type <c>xdp/devmap</c>, or 0.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct DeviceTarget(uint Interface, uint Program);

/// <summary>Interfaces, by index into the map (<c>BPF_MAP_TYPE_DEVMAP</c>, kernel 4.14).</summary>
public sealed class DevMap(uint maxEntries, string? name = null) : DeviceMap(MapKind.DevMap, maxEntries, name);

/// <summary>Interfaces, by any number, as their own index (<c>BPF_MAP_TYPE_DEVMAP_HASH</c>, kernel 5.4).</summary>
public sealed class DevMapHash(uint maxEntries, string? name = null) : DeviceMap(MapKind.DevMapHash, maxEntries, name);

/// <summary>Interfaces that XDP programs send packets to.</summary>
public abstract class DeviceMap : RedirectMap<DeviceTarget>
{
    private protected DeviceMap(MapKind kind, uint maxEntries, string? name)
        : base(kind, maxEntries, name)
    {
    }

    /// <summary>Program side: sends a copy of the packet to every interface of the map (kernel 5.14).</summary>
    /// <param name="exceptIngress">Not back to where it came from.</param>
    public XdpAction Broadcast(bool exceptIngress) => RedirectToAll(exceptIngress);

    /// <summary>User side: puts in an interface of this network namespace.</summary>
    /// <param name="key">Key.</param>
    /// <param name="interfaceIndex">Index of the interface.</param>
    /// <param name="program">A program with attach type <c>xdp/devmap</c> that sees each packet before it leaves, or null.</param>
    /// <exception cref="BpfException">EINVAL: there is no such interface, or the program is of another attach type.</exception>
    public void Set(uint key, uint interfaceIndex, LoadedProgram? program = null)
    {
        using var lease = program is null ? default : program.Handle.Borrow();
        Put(key, new DeviceTarget(interfaceIndex, program is null ? uint.MaxValue : (uint)lease.Descriptor));
    }

    /// <summary>User side: what is under the key.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGet(uint key, out DeviceTarget target) => TryLook(key, out target);
}

/// <summary>
/// The queue of a CPU, and the program that runs there (<c>struct bpf_cpumap_val</c>, kernel 5.9).
/// <code>
/// 0 qsize:4   4 program: descriptor when written, id when read:4
/// </code>
/// </summary>
/// <param name="QueueLength">Packets that may wait for the CPU.</param>
/// <param name="Program">When read: id of the program of type <c>xdp/cpumap</c>, or 0.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct CpuTarget(uint QueueLength, uint Program);

/// <summary>CPUs that take packets on from an XDP program, by CPU number (<c>BPF_MAP_TYPE_CPUMAP</c>, kernel 4.15).</summary>
public sealed class CpuMap(uint maxEntries, string? name = null) : RedirectMap<CpuTarget>(MapKind.CpuMap, maxEntries, name)
{
    /// <summary>User side: opens the queue of a CPU.</summary>
    /// <param name="cpu">Number of the CPU, below the map's entries.</param>
    /// <param name="queueLength">Packets that may wait, 1 to 16384; more are dropped.</param>
    /// <param name="program">A program with attach type <c>xdp/cpumap</c> that runs on that CPU, or null.</param>
    /// <exception cref="BpfException">ENODEV: there is no such CPU; EOVERFLOW: the queue is too long.</exception>
    public void Set(uint cpu, uint queueLength, LoadedProgram? program = null)
    {
        using var lease = program is null ? default : program.Handle.Borrow();
        Put(cpu, new CpuTarget(queueLength, program is null ? uint.MaxValue : (uint)lease.Descriptor));
    }

    /// <summary>User side: what is under the key.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGet(uint cpu, out CpuTarget target) => TryLook(cpu, out target);
}

/// <summary>AF_XDP sockets that take packets past the network stack, by receive queue as a rule (<c>BPF_MAP_TYPE_XSKMAP</c>, kernel 4.18).</summary>
public sealed class XskMap(uint maxEntries, string? name = null) : RedirectMap<uint>(MapKind.XskMap, maxEntries, name)
{
    /// <summary>User side: puts in a socket; it leaves the map when it is closed.</summary>
    /// <exception cref="BpfException">EBADF or EOPNOTSUPP: it is no AF_XDP socket.</exception>
    public void Set(uint key, SafeHandle socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        var added = false;
        socket.DangerousAddRef(ref added);
        try
        {
            Put(key, (uint)socket.DangerousGetHandle());
        }
        finally
        {
            socket.DangerousRelease();
        }
    }
}
