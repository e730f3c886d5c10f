using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Samples.Programs;

namespace Skep.Bpf.Tests.Twin;

/// <summary>Programs of other kinds than packets run in the process on contexts that the test fills: the objects of the kernel tests.</summary>
public unsafe class ContextTests
{
    private readonly TwinEngine _twin = new();

    [Fact]
    public void A_connect_is_rewritten()
    {
        var program = new RewriteConnect(0x0909097f, 0x0100007f, 0x5000);
        var context = new CgroupSockAddrContext { UserFamily = 2, Protocol = 6, UserIp4 = 0x0909097f, UserPort = 0x901f };

        Assert.Equal(CgroupVerdict.Allow, _twin.Run(program, ref context));

        Assert.Equal((0x0100007fu, 0x5000u, 1ul), (context.UserIp4, context.UserPort, program.Rewritten.Value));
        context = new CgroupSockAddrContext { Protocol = 17, UserIp4 = 0x0909097f };
        _twin.Run(program, ref context);
        Assert.Equal((0x0909097fu, 1ul), (context.UserIp4, program.Rewritten.Value));
    }

    [Fact]
    public void A_raw_socket_is_refused_and_another_marked()
    {
        var program = new MarkSockets(7);
        var raw = new SocketContext { Family = 2, Type = 3 };
        var stream = new SocketContext { Family = 2, Type = 1 };

        Assert.Equal((CgroupVerdict.Refuse, CgroupVerdict.Allow), (_twin.Run(program, ref raw), _twin.Run(program, ref stream)));
        Assert.Equal((0u, 7u), (raw.Mark, stream.Mark));
    }

    [Fact]
    public void A_socket_option_is_replaced()
    {
        var value = stackalloc byte[] { 16, 0, 0, 0 };
        var context = new CgroupSockoptContext
        {
            OptionValue = value, OptionValueEnd = value + 4, Level = 0, OptionName = 1, OptionLength = 4, ReturnValue = 0,
        };

        Assert.Equal(CgroupVerdict.Allow, _twin.Run(new HideSocketOption(4), ref context));
        Assert.Equal((4, 1), (value[0], context.OptionLength));
    }

    [Fact]
    public void Connections_are_counted()
    {
        var program = new CountConnections();
        foreach (var operation in new[] { SockOperation.ActiveEstablished, SockOperation.PassiveEstablished, SockOperation.RoundTrip, SockOperation.State })
        {
            var context = new SockOpsContext { Operation = (uint)operation };
            context.FillArguments(1, 7);
            _twin.Run(program, ref context);
        }

        Assert.Equal((2ul, 1ul), (program.Established.Value, program.Ended.Value));
    }

    [Fact]
    public void Packets_of_a_group_are_counted_and_one_port_is_dropped()
    {
        var program = new CountSentBytes(0x3500);
        var packet = stackalloc byte[28];
        (packet[0], packet[9], packet[23]) = (0x45, 17, 0x35);
        var context = new SkbContext { Data = packet, DataEnd = packet + 28, Length = 28 };

        Assert.Equal(CgroupVerdict.Refuse, _twin.Run(program, ref context));
        packet[23] = 0x36;
        Assert.Equal(CgroupVerdict.Allow, _twin.Run(program, ref context));
        Assert.Equal(28ul, program.Bytes.Value);
    }

    [Fact]
    public void A_tracepoint_is_counted()
    {
        var program = new CountStates(80);
        var change = new CountStates.StateChange { NewState = 1, SourcePort = 80 };

        _twin.Run(program, ref change);

        ulong[] reached = new ulong[_twin.Environment.Cpus];
        Assert.True(program.Reached.TryGet(1, reached));
        Assert.Equal(1ul, reached[0]);
    }

    [Fact]
    public void A_probe_reads_its_argument_where_the_notation_says()
    {
        var context = new RegistersContext { Argument0 = 0xfffffffe, Result = 5 };

        Assert.Equal(-2, UsdtArgument.Parse("-4@%edi").Read(ref context));
        Assert.Equal(0xfffffffe, UsdtArgument.Parse("4@%edi").Read(ref context));
        Assert.Equal(0xfe, UsdtArgument.Parse("1@%dil").Read(ref context));
        Assert.Equal(5, UsdtArgument.Parse("8@%rax").Read(ref context));
        Assert.Equal(-3, UsdtArgument.Parse("-8@$-3").Read(ref context));
        Assert.Contains("'4@%xmm0'", Assert.Throws<NotSupportedException>(() => UsdtArgument.Parse("4@%xmm0")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_only_the_kernel_can_answer_says_so()
    {
        var context = new CgroupSysctlContext { Write = 1 };
        Assert.Contains("bpf_sysctl_get_name", Assert.Throws<NotSupportedException>(() => _twin.Run(new GuardSysctls(), ref context)).Message, StringComparison.Ordinal);
    }
}
