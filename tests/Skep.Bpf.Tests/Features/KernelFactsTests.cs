using Skep.Bpf.Features;

namespace Skep.Bpf.Tests.Features;

public sealed class KernelFactsTests
{
    [Fact]
    public void Options_are_what_stands_right_of_the_equals_sign()
    {
        var options = KernelConfiguration.Parse(new StringReader("# comment\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x=y\"\nCONFIG_D=0x10\nOTHER=1\n"));
        Assert.Equal([("CONFIG_A", "y"), ("CONFIG_C", "\"x=y\""), ("CONFIG_D", "0x10")], options.Select(o => (o.Key, o.Value)).Order());
    }

    [Fact]
    public void A_symbol_of_several_addresses_has_none()
    {
        var symbols = KernelSymbols.Parse(["ffffffff81000000 T start", "ffffffff81000010 t twin", "ffffffff81000020 t twin", "1000 d value\t[module]", "nonsense"]);
        Assert.Equal([("start", 0xffffffff81000000), ("twin", 0ul), ("value", 0x1000ul)], symbols.Select(s => (s.Key, s.Value)).Order());
    }
}
