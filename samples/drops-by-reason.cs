#!/usr/bin/env dotnet
// Counts the packets the kernel throws away, by its own reason (kernel 5.17).
//   sudo dotnet run samples/drops-by-reason.cs [SECONDS]
#:project ../src/Skep.Bpf.Compiler/Skep.Bpf.Compiler.csproj
#:property PublishAot=false
#:property AllowUnsafeBlocks=true
using System.Runtime.CompilerServices;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

var seconds = args is [var text, ..] ? double.Parse(text) : 5;
var drops = new DropCounter();
using var program = ProgramLoader.Load(ProgramCompiler.Compile(drops));
using var link = RawTracepointLink.Attach(program);
Console.WriteLine($"counting drops for {seconds} s");
await Task.Delay(TimeSpan.FromSeconds(seconds));

var names = BtfFile.Kernel!.Enumerators("skb_drop_reason").DistinctBy(e => e.Value).ToDictionary(e => (uint)e.Value, e => e.Name);
drops.Packets.ReadAll((reason, packets) =>
    Console.WriteLine($"{names.GetValueOrDefault(reason, $"reason {reason}").Replace("SKB_DROP_REASON_", ""),-28} {packets}"));

internal sealed class DropCounter : RawTracepointProgram
{
    public readonly HashMap<uint, ulong> Packets = new(1024, "drops");

    public override string Tracepoint => "kfree_skb";

    // Arguments: the packet, where it was dropped, why.
    public override void Run(ref RawTracepointContext context)
    {
        var reason = (uint)context.Value(2);
        ref var count = ref Packets.Find(in reason);
        if (Unsafe.IsNullRef(ref count))
        {
            var first = 1UL;
            Packets.Update(in reason, in first, UpdateMode.Any);
        }
        else
        {
            Interlocked.Increment(ref count);
        }
    }
}
