"""What a source's settings may not hold."""

from tenuto.sources import check_options


def test_a_login_in_the_address_of_the_terms_is_refused_without_repeating_it() -> None:
    options = {"terms": "http://joe:sesame@shop.invalid/terms", "terms_permit": "yes"}
    [mistake] = check_options("folder", "/music", options)
    assert mistake.startswith("options.terms: an address stops at the path")
    assert "sesame" not in mistake


def test_terms_need_a_reading() -> None:
    [mistake] = check_options("folder", "/music", {"terms": "terms.html"})
    assert mistake.startswith("options.terms_permit: read the terms and say yes or no")
