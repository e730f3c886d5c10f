using Skep.Bpf.Btf;

namespace Skep.KernelTests.Btf;

public class KernelBtfTests
{
    private static BtfFile Kernel
    {
        get
        {
            KernelTests.Kernel.Require(BtfFile.Kernel is not null, "the kernel has no BTF");
            return BtfFile.Kernel!;
        }
    }

    [KernelFact]
    public void Every_type_of_the_kernel_is_read()
    {
        Assert.Null(Kernel.UnknownKind);
        Assert.True(Kernel.Count > 10_000);
        for (var id = 1u; id < Kernel.Count; id++)
        {
            var type = Kernel[id];
            Assert.InRange(type.Kind, BtfKind.Int, BtfKind.Enum64);
            if (type.Kind is BtfKind.Struct or BtfKind.Union)
            {
                Assert.All(Kernel.Members(id), member => Assert.InRange(member.Type, 0u, (uint)Kernel.Count));
            }
        }
    }

    [KernelFact]
    public void Fields_are_found_through_anonymous_structs_and_unions()
    {
        // struct sock_common begins with a union of the address pair and its two halves: daddr, then rcv_saddr.
        Assert.Equal((0, 4), Place("sock", "__sk_common.skc_daddr"));
        Assert.Equal((4, 4), Place("sock", "__sk_common.skc_rcv_saddr"));
        Assert.Equal((0, 8), Place("sk_buff", "next"));
        Assert.Equal(4, Place("sk_buff", "len")!.Value.Size);
        Assert.NotNull(Place("sk_buff", "network_header"));
    }

    [KernelFact]
    public void Bit_fields_have_their_width()
    {
        var field = Kernel.FindField("sk_buff", "pkt_type")!.Value;

        Assert.Equal((1, 3), (field.Size, field.BitSize));
    }

    [KernelFact]
    public void What_does_not_exist_is_null()
    {
        Assert.Null(Kernel.FindField("sock", "no_such_field"));
        Assert.Null(Kernel.FindField("no_such_struct", "field"));
        Assert.Null(Kernel.FindField("sock", "__sk_common.skc_daddr.deeper"));
        Assert.Empty(Kernel.Enumerators("no_such_enum"));
    }

    [KernelFact]
    public void Drop_reasons_have_names()
    {
        var reasons = Kernel.Enumerators("skb_drop_reason");

        Assert.Contains(reasons, r => r.Name == "SKB_DROP_REASON_NO_SOCKET" && r.Value > 0);
    }

    [KernelFact]
    public void A_copy_reads_like_the_mapped_file()
    {
        using var copy = BtfFile.Parse(File.ReadAllBytes("/sys/kernel/btf/vmlinux"));

        Assert.Equal(Kernel.Count, copy.Count);
        Assert.Equal(Kernel.FindField("tcp_sock", "snd_cwnd"), copy.FindField("tcp_sock", "snd_cwnd"));
    }

    [KernelFact]
    public void Types_rewritten_for_older_kernels_are_taken_by_this_one()
    {
        foreach (var missing in Enum.GetValues<BtfFeatures>().Append((BtfFeatures)0xff))
        {
            using var types = new ObjectBtf(BtfDowngrade.Apply(Skep.Bpf.Tests.Btf.SampleTypes.Everything(), missing));
            Assert.True(types.Open() is not null, $"without {missing}: {types.Problem}");
        }
    }

    [KernelFact]
    public void This_kernel_knows_the_kinds_that_its_version_has()
    {
        var expected = Environment.OSVersion.Version >= new Version(6, 9) ? BtfFeatures.None : BtfDowngrade.Missing();
        Assert.Equal(expected, BtfDowngrade.Missing());
    }

    private static (int Offset, int Size)? Place(string structName, string path) =>
        Kernel.FindField(structName, path) is { } field ? (field.Offset, field.Size) : null;
}
