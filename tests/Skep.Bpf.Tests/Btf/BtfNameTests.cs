using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Btf;

public sealed class BtfNameTests
{
    [Fact]
    public void An_empty_name_finds_nothing_though_types_without_a_name_are_there()
    {
        var builder = new BtfBuilder();
        builder.AddStruct("", 4, ("a", builder.AddInt("int", 4, true), 0u));
        using var btf = BtfFile.Parse(builder.Build());
        Assert.Null(btf.Find("", BtfKind.Struct));
    }

    [Fact]
    public void All_types_of_a_name_are_found_in_order_and_by_kind()
    {
        var builder = new BtfBuilder();
        var number = builder.AddInt("x", 4, true);
        var (first, second) = (builder.AddStruct("x", 4, ("x", number, 0u)), builder.AddStruct("x", 4));
        builder.AddTypedef("xx", number);
        using var btf = BtfFile.Parse(builder.Build());
        Assert.Equal([first, second], btf.FindAll("x", BtfKind.Struct));
        Assert.Equal([number, first, second], btf.FindAll("x", BtfKind.Struct, BtfKind.Int));
        Assert.Null(btf.Find("x", BtfKind.Typedef));
    }

    [Fact]
    public void Names_that_begin_alike_for_long_are_told_apart()
    {
        var builder = new BtfBuilder();
        var names = Enumerable.Range(0, 100).Select(i => new string('n', 60) + i).ToArray();
        var ids = names.Select(n => builder.AddStruct(n, 4)).ToArray();
        using var btf = BtfFile.Parse(builder.Build());
        Assert.Equal(ids, names.Select(n => btf.Find(n, BtfKind.Struct)!.Value));
    }

    [Fact]
    public void A_modules_types_go_on_where_the_kernels_end()
    {
        var core = new BtfBuilder();
        var number = core.AddInt("int", 4, true);
        core.AddStruct("shared", 4, ("x", number, 0u));
        using var kernel = BtfFile.Parse(core.Build());
        var builder = new BtfBuilder(kernel);
        var own = builder.AddStruct("own", 8, ("a", number, 0u), ("b", number, 32u));
        using var module = BtfFile.Parse(builder.Build(), kernel);
        Assert.Equal((uint)kernel.Count, own);
        Assert.Equal(own, module.Find("own", BtfKind.Struct));
        Assert.Equal(4, module.FindField("own", "b")!.Value.Offset);
        Assert.Equal(kernel.Find("shared", BtfKind.Struct), module.Find("shared", BtfKind.Struct));
        Assert.Equal("int", module[module.Members(own)[0].Type].Name);
        Assert.Empty(module.FindAll("shared", BtfKind.Struct));
    }

    [Fact]
    public void A_modules_type_may_have_its_name_among_the_kernels_strings()
    {
        var core = new BtfBuilder();
        core.AddInt("name", 4, true);
        using var kernel = BtfFile.Parse(core.Build());
        var bytes = new BtfBuilder(kernel).Build();

        // One record behind the header of 24 bytes: a struct of no members whose name is that of the kernel's first type.
        byte[] record = [.. BitConverter.GetBytes(kernel.NameOffsetOf(1)), .. BitConverter.GetBytes((uint)BtfKind.Struct << 24), 0, 0, 0, 0];
        byte[] file = [.. bytes.AsSpan(0, 12), .. BitConverter.GetBytes(12), .. BitConverter.GetBytes(12), .. bytes.AsSpan(20, 4), .. record, .. bytes.AsSpan(24)];
        using var module = BtfFile.Parse(file, kernel);
        Assert.Equal(2u, module.Find("name", BtfKind.Struct));
    }
}
