using System.Globalization;
using Skep.Bpf.Btf;
using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.StructOps;

/// <summary>The Reno of the samples is the kernel's Reno: step by step on the same states, in the twin on recorded ones, and over a path that loses the same segments.</summary>
public unsafe class RenoTests
{
    private static readonly uint[] s_lost = [60, 300, 301, 700, 1100, 1500];

    [KernelFact]
    public void Every_step_is_the_one_the_kernels_reno_takes_and_the_twin_too()
    {
        var judge = new Judge(SampleReno.New());
        using var table = LoadedStructOps.Load(StructOpsCompiler.Compile(judge, KernelTarget.Running));
        var steps = new List<Step>();
        using (var link = table.Attach())
        {
            using var path = new LossyPath(s_lost);
            var (bytes, _) = path.Send(judge.Name, 3_000_000);
            Assert.Equal(3_000_000, bytes);
        }

        using (var reader = new RingBufferReader<Step>(judge.Steps))
        {
            reader.Drain((in Step step) => steps.Add(step));
        }

        // In the kernel: both ran on the same state.
        Assert.Equal(0ul, judge.Different.Value);
        Assert.InRange(judge.Compared.Value, 300ul, ulong.MaxValue);
        Assert.InRange(judge.Losses.Value, 2ul, ulong.MaxValue);
        Assert.Contains(steps, static s => s.Before.Cwnd < s.Before.Ssthresh);
        Assert.Contains(steps, static s => s.Before.Cwnd >= s.Before.Ssthresh && s.Before.Count != s.After.Count);
        Assert.InRange(steps.Count, 300, int.MaxValue);

        // In the process: C# on the recorded states does what the kernel's Reno did.
        var reno = SampleReno.New();
        using var twin = new TwinEngine();
        twin.Call(reno, () =>
        {
            foreach (var step in steps)
            {
                var socket = default(TcpSock);
                (socket.SndCwnd, socket.SndCwndCnt, socket.SndSsthresh, socket.SndCwndClamp) = (step.Before.Cwnd, step.Before.Count, step.Before.Ssthresh, step.Before.Clamp);
                (socket.IsCwndLimited, socket.MaxPacketsOut) = ((byte)step.Limited, step.MaxPacketsOut);
                reno.CongestionAvoidance(&socket, 0, step.Acked);
                Assert.Equal((step.After.Cwnd, step.After.Count), (socket.SndCwnd, socket.SndCwndCnt));
            }
        });

        foreach (var map in table.Spec.Maps)
        {
            map.Dispose();
        }
    }

    [KernelFact]
    public void A_lossy_transfer_goes_as_with_the_kernels_reno()
    {
        var reno = SampleReno.New();
        using var table = LoadedStructOps.Load(StructOpsCompiler.Compile(reno, KernelTarget.Running));
        using var link = table.Attach();
        var kernel = Watch("reno");
        var csharp = Watch(reno.Name);

        // The same bytes arrive. Timing differs from run to run, by acknowledgements that are delayed or not; the mean window of both lies within a third.
        Assert.Equal((4_000_000L, kernel.Hash), (csharp.Bytes, csharp.Hash));
        var ratio = csharp.MeanWindow / kernel.MeanWindow;
        Assert.True(ratio is > 0.66 and < 1.5, string.Create(CultureInfo.InvariantCulture, $"mean window {csharp.MeanWindow:0.0} against {kernel.MeanWindow:0.0} of the kernel's Reno"));
        Assert.True(csharp.Retransmitted > 0 && kernel.Retransmitted > 0);
        foreach (var map in table.Spec.Maps)
        {
            map.Dispose();
        }
    }

    private static (long Bytes, ulong Hash, double MeanWindow, ulong Retransmitted) Watch(string congestionControl)
    {
        var watch = new WindowWatch();
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(watch, KernelTarget.Running));
        using var path = new LossyPath(s_lost);
        using var link = RawTracepointLink.Attach(program);
        var (bytes, hash) = path.Send(congestionControl, 4_000_000);
        var result = (bytes, hash, (double)watch.Sum.Value / Math.Max(1, watch.Count.Value), watch.Retransmitted.Value);
        foreach (var map in program.Maps)
        {
            map.Dispose();
        }

        return result;
    }

    private record struct Window(uint Cwnd, uint Count, uint Ssthresh, uint Clamp);

    private record struct Step(Window Before, Window After, uint Acked, uint Limited, uint MaxPacketsOut);

    private static class KernelReno
    {
        [KernelFunction("tcp_reno_cong_avoid")]
        public static void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked) => throw new NotSupportedException();

        [KernelFunction("tcp_reno_ssthresh")]
        public static uint SsThresh(TcpSock* socket) => throw new NotSupportedException();

        [KernelFunction("tcp_reno_undo_cwnd")]
        public static uint UndoCwnd(TcpSock* socket) => throw new NotSupportedException();
    }

    /// <summary>Runs a congestion control and the kernel's Reno on the same state, keeps the kernel's result and notes both.</summary>
    private sealed class Judge(TcpCongestionControl judged) : TcpCongestionControl
    {
        private readonly TcpCongestionControl _judged = judged;

        public readonly Global<ulong> Compared = new("compared"), Different = new("different"), Losses = new("losses");

        public readonly RingBuffer<Step> Steps = new(1 << 20, "steps");

        public override string Name => "skep_judge";

        public override uint SsThresh(TcpSock* socket)
        {
            Losses.Value++;
            return Judged(_judged.SsThresh(socket), KernelReno.SsThresh(socket));
        }

        public override uint UndoCwnd(TcpSock* socket) => Judged(_judged.UndoCwnd(socket), KernelReno.UndoCwnd(socket));

        public override void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked)
        {
            var step = default(Step);
            step.Before = Look(socket);
            (step.Acked, step.Limited, step.MaxPacketsOut) = (acked, socket->IsCwndLimited, socket->MaxPacketsOut);
            _judged.CongestionAvoidance(socket, acknowledgement, acked);
            var (cwnd, count) = (socket->SndCwnd, socket->SndCwndCnt);
            (socket->SndCwnd, socket->SndCwndCnt) = (step.Before.Cwnd, step.Before.Count);
            KernelReno.CongestionAvoidance(socket, acknowledgement, acked);
            step.After = Look(socket);
            Judged(cwnd, socket->SndCwnd);
            Judged(count, socket->SndCwndCnt);
            Steps.Output(in step);
        }

        private uint Judged(uint csharp, uint kernel)
        {
            Compared.Value++;
            if (csharp != kernel)
            {
                Different.Value++;
            }

            return kernel;
        }

        private static Window Look(TcpSock* socket) => new(socket->SndCwnd, socket->SndCwndCnt, socket->SndSsthresh, socket->SndCwndClamp);
    }

    /// <summary>The window at each acknowledgement of connections to the test's receiver.</summary>
    private sealed class WindowWatch : RawTracepointProgram
    {
        public readonly Global<ulong> Sum = new("sum"), Count = new("count"), Retransmitted = new("retransmitted");

        public override string Tracepoint => "tcp_probe";

        public override void Run(ref RawTracepointContext context)
        {
            var socket = context.Pointer<TcpSock>(0);
            if (socket->Connection.Inet.Sock.Common.RemoteAddress == 0x0200070a)
            {
                Sum.Value += socket->SndCwnd;
                Count.Value++;
                Retransmitted.Value = socket->TotalRetrans;
            }
        }
    }
}
