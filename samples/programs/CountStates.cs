using System.Runtime.InteropServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts how often TCP sockets of one port reach each state.</summary>
/// <param name="port">Local port, host byte order.</param>
public sealed class CountStates(ushort port) : TracepointProgram<CountStates.StateChange>
{
    private const int States = 13;
    private readonly ushort _port = port;

    public PerCpuArrayMap<ulong> Reached { get; } = new(States, "reached");

    public override string Tracepoint => "sock/inet_sock_set_state";

    public override void Run(ref StateChange context)
    {
        if (context.SourcePort != _port)
        {
            return;
        }

        ref var count = ref Reached.Find((uint)context.NewState);
        if (!System.Runtime.CompilerServices.Unsafe.IsNullRef(ref count))
        {
            count++;
        }
    }

    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return TracepointLink.Attach(program);
    }

    /// <summary>As <c>events/sock/inet_sock_set_state/format</c> of the tracefs says; programs cannot read the first eight bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    public struct StateChange
    {
        [FieldOffset(16)] public int OldState;
        [FieldOffset(20)] public int NewState;
        [FieldOffset(24)] public ushort SourcePort;
    }
}
