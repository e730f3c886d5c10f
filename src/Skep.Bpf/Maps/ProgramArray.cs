using System.Diagnostics.CodeAnalysis;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Maps;

/// <summary>Programs in numbered slots, whatever their context (<c>BPF_MAP_TYPE_PROG_ARRAY</c>, kernel 4.2).</summary>
public abstract class ProgramArray : BpfMap
{
    private readonly BpfProgram?[] _programs;

    private protected ProgramArray(uint slots, string? name)
        : base(MapKind.ProgramArray, sizeof(uint), sizeof(uint), slots, MapFlags.None, name) => _programs = new BpfProgram?[slots];

    /// <inheritdoc/>
    public sealed override Type KeyType => typeof(uint);

    /// <inheritdoc/>
    public sealed override Type ValueType => typeof(uint);

    /// <summary>The program objects by slot. Loading a program that uses the array compiles them and fills the kernel's slots; the twin runs the objects.</summary>
    public IReadOnlyList<BpfProgram?> Programs => _programs;

    /// <summary>
    /// User side: puts a loaded program into a slot, in place of what is there, from the next packet on. It must have the type of the programs that
    /// call it. The kernel keeps it as long as it is in the slot, so the object may be disposed of.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused: EINVAL when the program is of another type than those that use the array.</exception>
    public void Set(uint slot, LoadedProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        if (Storage is not KernelMapStorage storage)
        {
            throw new InvalidOperationException($"Map '{Name}' lives in the process, under a twin: put the program object into the slot.");
        }

        var status = storage.WriteHandle(BitConverter.GetBytes(slot), program.Handle, (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, $"putting program '{program.Name}' into slot {slot}", status);
        }
    }

    /// <summary>User side: empties a slot: calls of it fail, and the caller goes on. False when it was empty.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Clear(uint slot)
    {
        var had = _programs.Length > slot && _programs[slot] is not null;
        SetObject(slot, null);
        if (!IsBound || Storage is not KernelMapStorage)
        {
            return had;
        }

        var status = Storage.Remove(BitConverter.GetBytes(slot));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "delete", status),
        };
    }

    private protected virtual void SetObject(uint slot, BpfProgram? program)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(slot, MaxEntries);
        _programs[slot] = program;
    }
}

/// <summary>
/// Programs that continue the work of another: a tail call ends the program and runs the one in a slot on the same context, without returning.
/// A slot can be exchanged while packets flow.
/// <code>
/// private readonly ProgramArray&lt;XdpContext, XdpAction&gt; _next = new(2) { [0] = new Parse(), [1] = new Count() };
/// public override XdpAction Run(ref XdpContext context) => _next.Call(ref context, 1, otherwise: XdpAction.Pass);
/// </code>
/// </summary>
/// <typeparam name="TContext">Context of the programs.</typeparam>
/// <typeparam name="TVerdict">What they return.</typeparam>
/// <param name="slots">Number of slots.</param>
/// <param name="name">Name of the map; that of the field unless given.</param>
public sealed class ProgramArray<TContext, TVerdict>(uint slots, string? name = null) : ProgramArray(slots, name)
    where TContext : struct
    where TVerdict : unmanaged
{
    /// <summary>Tail calls that a packet can make (<c>MAX_TAIL_CALL_CNT</c>); one more fails.</summary>
    public const int MostCalls = 33;

    private readonly Body?[] _bodies = new Body?[slots];

    private delegate TVerdict Body(ref TContext context);

    /// <summary>The program object in a slot, or null. Set before the array is loaded, or at any time under a twin that the program is bound to.</summary>
    /// <exception cref="ArgumentException">The program takes another context or returns something else.</exception>
    /// <exception cref="InvalidOperationException">The array lives in the kernel: compile and load the program, then <see cref="ProgramArray.Set"/>.</exception>
    [DisallowNull]
    public BpfProgram? this[uint slot]
    {
        get => Programs[(int)slot];
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (IsBound && Storage is KernelMapStorage)
            {
                throw new InvalidOperationException($"Map '{Name}' lives in the kernel: compile and load the program, then put it in with Set.");
            }

            SetObject(slot, value);
        }
    }

    /// <summary>
    /// Program side: ends this program and runs the one in slot <paramref name="index"/> in its place (<c>bpf_tail_call</c>). To be returned at once,
    /// <c>return next.Call(ref context, 1, XdpAction.Pass)</c>: in the kernel the call does not come back. In a function of its own it ends that function.
    /// </summary>
    /// <param name="context">The program's context.</param>
    /// <param name="index">The slot.</param>
    /// <param name="otherwise">The result when the slot is empty or does not exist, or after <see cref="MostCalls"/> calls for one packet.</param>
    [TailCall]
    public TVerdict Call(ref TContext context, uint index, TVerdict otherwise)
    {
        if (index >= (uint)_bodies.Length || _bodies[index] is not { } body || !KernelEnvironment.Current.TryTailCall(MostCalls))
        {
            return otherwise;
        }

        return body(ref context);
    }

    private protected override void SetObject(uint slot, BpfProgram? program)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(slot, MaxEntries);
        _bodies[slot] = program is null ? null : (Body?)Delegate.CreateDelegate(typeof(Body), program, "Run", ignoreCase: false, throwOnBindFailure: false)
            ?? throw new ArgumentException($"'{program.Name}' cannot be called here: its Run does not take a {typeof(TContext).Name} and return a {typeof(TVerdict).Name}.", nameof(program));
        base.SetObject(slot, program);
    }
}
